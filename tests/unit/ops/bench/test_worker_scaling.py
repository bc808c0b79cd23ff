import pytest

from ops.bench import worker_scaling


def test_the_rates_of_workers_add_up_each_from_its_own_first_commit() -> None:
    commits = [(0.0, "a", 50), (2.0, "a", 50), (4.0, "a", 50), (1.0, "b", 50), (2.0, "b", 30)]
    assert worker_scaling.commit_rate(commits) == pytest.approx(25 + 30)


def test_a_worker_with_a_single_commit_adds_nothing() -> None:
    assert worker_scaling.commit_rate([(1.0, "a", 50)]) == 0
