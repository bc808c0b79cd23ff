import pytest

from ops.bench.load_generator import LoadReport
from ops.bench.pipeline import Observation


def _observation(answered: int, *backlog: float) -> Observation:
    report = LoadReport(10.0, answered, answered, {}, 0.5, 0.01, 0.02)
    return Observation(report, tuple((float(n), each) for n, each in enumerate(backlog)), {})


def test_what_was_answered_and_is_not_in_the_backlog_was_applied() -> None:
    assert _observation(1_000, 100, 500, 300).applied == 80


def test_a_level_backlog_does_not_grow() -> None:
    assert _observation(1_000, 100, 200, 100, 200).growth == 0
    assert _observation(1_000, 0, 10, 20, 30).growth == pytest.approx(10)
