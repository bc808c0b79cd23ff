import pytest

from ops.bench.load_generator import LoadReport
from ops.bench.observation import Observation, cpu_table


def _observation(answered: int, *backlog: float) -> Observation:
    report = LoadReport(10.0, answered, answered, {}, 0.5, 0.01, 0.02)
    return Observation(report, tuple((float(n), each) for n, each in enumerate(backlog)), {})


def test_what_was_answered_and_is_not_in_the_backlog_was_applied() -> None:
    assert _observation(1_000, 100, 500, 300).applied == 80


def test_a_level_backlog_does_not_grow() -> None:
    assert _observation(1_000, 100, 200, 100, 200).growth == 0
    assert _observation(1_000, 0, 10, 20, 30).growth == pytest.approx(10)


def test_the_processor_time_of_a_program_is_that_of_its_processes() -> None:
    cpu = {"worker_00": 0.01, "worker_01": 0.03, "pubsub": 0.1}
    found = cpu_table(held=[_observation(1_000, 0, 0)._replace(cpu=cpu)])
    assert found.columns == ("program", "held")
    assert found.rows == (("worker", "40"), ("pubsub", "100"))
