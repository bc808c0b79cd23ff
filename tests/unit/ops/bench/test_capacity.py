from typing import Any

import pytest

from ops.bench import capacity
from ops.bench.capacity import AssumedLoad, TransactionBytes
from ops.rig import RunFailed

WEIGHTS = TransactionBytes(body=400.0, message=600.0, script=300.0)


def one_lane(**more: Any) -> AssumedLoad:
    return AssumedLoad(lanes=1, tables=1, workers=1, **more)


def test_a_batch_is_what_arrives_in_a_lane_within_the_freshness() -> None:
    found = capacity.estimate(one_lane(rate=100, freshness=10), WEIGHTS)
    assert found.batch == pytest.approx(1_001)
    assert found.batches == pytest.approx(1 / 10.01)


def test_a_trickle_is_applied_one_by_one() -> None:
    found = capacity.estimate(one_lane(rate=0.001), WEIGHTS)
    assert found.batch == pytest.approx(1, rel=0.02)
    assert found.batches == pytest.approx(0.001, rel=0.02)


def test_a_batch_waits_for_the_job_before_it() -> None:
    found = capacity.estimate(one_lane(rate=10, freshness=1), WEIGHTS)
    assert found.job_seconds == pytest.approx(1 + 3 * 0.7)
    assert found.seconds == found.job_seconds


@pytest.mark.parametrize(
    ("settings", "batch"),
    [
        ({"batch_max_messages": 500}, 500),
        ({"batch_max_messages": 10_000, "batch_max_bytes": 40_000}, 100),
        ({"batch_max_messages": 10_000_000, "batch_max_bytes": 10**12}, 9_500_000 / 300),
    ],
)
def test_a_batch_ends_at_its_messages_its_bytes_or_the_request(
    settings: dict[str, int], batch: float
) -> None:
    found = capacity.estimate(one_lane(rate=1e6, **settings), WEIGHTS)
    assert found.batch == pytest.approx(batch)
    assert found.capacity == pytest.approx(batch / found.job_seconds)


def test_a_batch_has_one_statement_a_table_whatever_the_rate() -> None:
    base = AssumedLoad(rate=4_000, lanes=1, tables=10, workers=1)
    assert capacity.estimate(base, WEIGHTS).statements == pytest.approx(12)
    assert capacity.estimate(base._replace(rate=8_000), WEIGHTS).statements == pytest.approx(12)


def test_more_lanes_than_tables_stay_empty() -> None:
    found = capacity.estimate(AssumedLoad(tables=4, lanes=256, rate=1_000), WEIGHTS)
    assert 3.9 < found.lanes <= 4
    assert found.tables == pytest.approx(1, rel=0.02)


def test_lanes_that_share_few_jobs_wait_for_one_another() -> None:
    load = AssumedLoad(rate=100, tables=1_000, lanes=32, workers=1, warehouse_jobs=1, freshness=1)
    found = capacity.estimate(load, WEIGHTS)
    assert found.seconds == pytest.approx(found.job_seconds * 32)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"rate": 0}, "--rate"),
        ({"rate": float("nan")}, "--rate"),
        ({"freshness": -1}, "--freshness -1: expected 0.001 to 3,600"),
        ({"freshness": 4_000}, "--freshness 4000"),
        ({"table_bytes": 0}, "--table-gb 0"),
        ({"tables": 0}, "--tables 0"),
        ({"lanes": 0}, "--lanes 0: expected 1 to 256"),
        ({"lanes": 257}, "--lanes 257"),
        ({"workers": -2}, "--workers -2"),
        ({"partitions": 0}, "--partitions 0"),
        ({"job_seconds": 1e308}, "--job-seconds"),
        ({"partitions": 5, "table_partitions": 4}, "a table has only 4"),
    ],
)
def test_a_load_that_cannot_be_is_refused_in_one_line(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(RunFailed, match=text) as refused:
        capacity.check(AssumedLoad(**wrong))
    assert "\n" not in str(refused.value)


def test_the_largest_batch_fits_a_request() -> None:
    best = capacity.largest_batch(TransactionBytes(body=1_000, message=1_200, script=3_000))
    assert best.messages == 3_166
    assert best.bytes == 3_166_000
