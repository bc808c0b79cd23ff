from pathlib import Path

from ops.bench import plots
from ops.bench.results import BenchResult


def test_the_same_numbers_draw_the_same_bytes(result: BenchResult, tmp_path: Path) -> None:
    first, second = (plots.draw(result.plots, tmp_path / name) for name in ("a", "b"))
    assert [file.name for file in first] == ["lines.svg", "bars.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"<svg" in one.read_bytes()
