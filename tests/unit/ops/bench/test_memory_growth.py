import pytest

from ops.bench.memory_growth import MemorySample, early_and_late
from ops.rig import RunFailed


def test_early_is_around_a_tenth_of_the_run_and_late_its_end() -> None:
    points = [MemorySample(n * 1_000, n, n) for n in range(1, 101)]
    early, late = early_and_late(points, 100_000)
    assert sorted(point.server for point in early) == list(range(6, 15))
    assert [point.server for point in late] == list(range(92, 101))


def test_a_run_without_samples_is_refused() -> None:
    with pytest.raises(RunFailed, match="too short"):
        early_and_late([MemorySample(1, 1, 1)], 100)
