import pytest

from ops.bench import billed_load
from ops.bench.capacity import AssumedLoad, BatchEstimate, TransactionBytes, estimate
from ops.bench.cloud_limits import MIB

SIZES = TransactionBytes(body=400.0, message=600.0, script=300.0)
ONE_LANE = AssumedLoad(rate=10, tables=1, lanes=1, table_bytes=1e9)


def found(load: AssumedLoad) -> BatchEstimate:
    return estimate(load, SIZES)


def test_a_small_batch_bills_ten_megabytes_for_each_table_of_each_statement() -> None:
    load = ONE_LANE._replace(table_bytes=1_000.0)
    batches = found(load)
    bill = billed_load.billed(load, batches)
    least = 10 * MIB * batches.batches
    assert bill == pytest.approx((2 * least, least, least))


def test_a_merge_bills_its_table_or_the_partitions_that_it_is_bounded_to() -> None:
    whole = billed_load.billed(ONE_LANE, found(ONE_LANE)).tables
    load = ONE_LANE._replace(table_partitions=10)
    assert billed_load.billed(load, found(load)).tables == pytest.approx(whole / 10, rel=0.01)


def test_an_idempotency_key_makes_the_guard_read_the_hours_that_keys_are_kept() -> None:
    load = ONE_LANE._replace(rate=1_000)
    batches = found(load)
    wide = billed_load.billed(load, batches, wide=True)
    rows = 1_000 * 3_600 * 25
    assert wide.head / batches.batches == pytest.approx(rows * 42 + 10 * MIB, rel=0.02)
    assert wide.head > billed_load.billed(load, batches).head


def test_slots_come_in_steps_of_fifty() -> None:
    assert billed_load.slot_dollars(ONE_LANE, found(ONE_LANE)) == pytest.approx(50 * 24 * 0.04)


def test_the_cheapest_lanes_keep_the_freshness() -> None:
    load = AssumedLoad(rate=100, tables=40, freshness=10, table_partitions=30)
    best = billed_load.cheapest(load)
    assert best.lanes < load.lanes
    assert estimate(best).job_seconds <= 10
    assert min(billed_load.prices(best)) <= min(billed_load.prices(load))
