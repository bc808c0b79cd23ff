import pytest

from ops.bench import worker_scaling
from ops.rig.strict_bigquery import SettledBatch


def _batch(at: float, worker: str, transactions: int) -> SettledBatch:
    return SettledBatch(at, worker, "lane-00", [1.0] * transactions)


def test_the_rates_of_workers_add_up_each_from_its_own_first_commit() -> None:
    batches = [_batch(at, "a", 50) for at in (0.0, 2.0, 4.0)]
    batches += [_batch(1.0, "b", 50), _batch(2.0, "b", 30)]
    assert worker_scaling.commit_rate(batches) == pytest.approx(25 + 30)


def test_a_worker_with_a_single_commit_adds_nothing() -> None:
    assert worker_scaling.commit_rate([_batch(1.0, "a", 50)]) == 0
