import pytest

from ops.bench import scale


def test_the_rates_of_workers_add_up_each_from_its_own_first_commit() -> None:
    commits = [(0.0, "a", 50), (2.0, "a", 50), (4.0, "a", 50), (1.0, "b", 50), (2.0, "b", 30)]
    assert scale.rate(commits) == pytest.approx(25 + 30)


def test_a_worker_with_a_single_commit_counts_for_nothing() -> None:
    assert scale.rate([(1.0, "a", 50)]) == 0
