import asyncio
import json
import math
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from ops.runtime.warehouse_errors import (
    Conflicted,
    OutcomeUnknown,
    TimedOut,
    TooLarge,
    WarehouseRejected,
    WarehouseUnavailable,
)
from schema import Reason
from tests.support.deliveries import (
    body,
    decoded,
    delete,
    delivery,
    insert,
    number,
    text,
    update,
)
from tests.support.fake_warehouse import Changes, FakeWarehouse, Lost
from workers import commit
from workers.catalog import CatalogCache
from workers.commit import CommitSettings, Committer
from workers.decode import DecodedMessage, decode
from workers.lane_head import LaneCountDiffers
from workers.lane_script import MAX_STATEMENTS
from workers.outcomes import Outcome
from workers.plan import MAX_TABLES
from workers.rejection_limit import MIN_REJECTIONS, RejectionLimit, TooManyRejected
from workers.table_columns import Column

LANE = 7


def always() -> float:
    return math.inf


@pytest.fixture
def warehouse() -> FakeWarehouse:
    return FakeWarehouse()


def committer_of(warehouse: FakeWarehouse, worker: str = "w", share: float = 1.0) -> Committer:
    return Committer(
        warehouse,  # type: ignore[arg-type]  # has the methods
        CatalogCache(warehouse, max_age=math.inf),
        RejectionLimit(share),
        CommitSettings(worker, 32),
    )


@pytest.fixture
def committer(warehouse: FakeWarehouse) -> Committer:
    return committer_of(warehouse)


def reasons(outcomes: list[Outcome]) -> list[Reason | None]:
    return [outcome.rejection.reason if outcome.rejection else None for outcome in outcomes]


def refuses(*values: str) -> Callable[[Changes], bool]:
    return lambda rows: any(row.get("a") in values for _, row in rows)


def numbered(count: int, table: str = "t") -> list[DecodedMessage]:
    return [decoded(insert(table, a=number(i)), id=f"{table}-{i}") for i in range(count)]


def values(warehouse: FakeWarehouse, table: str = "t") -> list[str | None]:
    return [row["a"] for row in warehouse.rows[table]]


async def test_in_steady_state_a_batch_is_one_commit_and_nothing_else(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    await committer.settle(LANE, numbered(1), always)
    reads, made, looked_at = warehouse.reads, len(warehouse.ddl), len(warehouse.looked_at)
    batch = [decoded(insert("t", a=number(i)), id=f"next-{i}") for i in range(50)]
    assert reasons(await committer.settle(LANE, batch, always)) == [None] * 50
    assert len(warehouse.commits) == 2
    assert (warehouse.reads, len(warehouse.ddl)) == (reads, made)
    assert len(warehouse.looked_at) == looked_at
    assert warehouse.head(LANE).epoch == 2


async def test_a_redelivery_after_the_commit_changes_nothing_and_has_the_same_outcome(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    batch = [decoded(insert("t", a=number(1)), id="1"), decoded(delete("u", a=number(1)), id="2")]
    first = await committer.settle(LANE, batch, always)
    again = await committer.settle(LANE, batch, always)
    assert reasons(first) == reasons(again) == [None, Reason.TABLE_MISSING]
    assert values(warehouse) == ["1"]
    assert len(warehouse.settled()) == 2
    assert [row["body"] for row in warehouse.rejected] == [batch[1].message.data.decode()]


async def test_what_is_settled_is_counted_by_table_once(committer: Committer) -> None:
    batch = [
        decoded(insert("counted", a=number(1)), insert("counted", a=number(2)), id="1"),
        decoded(delete("uncreated", a=number(1)), id="2"),
    ]
    for _ in range(2):
        await committer.settle(LANE, batch, always)
    for table, outcome in (("counted", "applied"), ("uncreated", "rejected")):
        labels = {"table": table, "outcome": outcome}
        assert REGISTRY.get_sample_value("gatekeeper_table_transactions_total", labels) == 1


async def test_two_workers_with_the_same_messages_have_one_effect(
    warehouse: FakeWarehouse,
) -> None:
    first, second = committer_of(warehouse, "a"), committer_of(warehouse, "b")
    await first.settle(LANE, numbered(1, "u"), always)
    await second.settle(LANE, numbered(1, "u"), always)
    batch = numbered(20)
    outcomes = await asyncio.gather(
        first.settle(LANE, batch, always), second.settle(LANE, batch[:12], always)
    )
    assert [reasons(each) for each in outcomes] == [[None] * 20, [None] * 12]
    assert values(warehouse) == [str(i) for i in range(20)]
    warehouse.settled()


async def test_a_job_submitted_before_another_workers_commit_is_fenced(
    warehouse: FakeWarehouse,
) -> None:
    slow, quick = committer_of(warehouse, "slow"), committer_of(warehouse, "quick")
    await slow.settle(LANE, numbered(1, "u"), always)
    epoch = warehouse.head(LANE).epoch
    await quick.settle(LANE, numbered(1), always)
    assert warehouse.head(LANE).epoch == epoch + 1
    await slow.settle(LANE, [decoded(insert("t", a=number(9)), id="late")], always)
    assert [len(ids) for ids in warehouse.commits] == [1, 1, 1, 1]  # the third was refused
    assert values(warehouse) == ["0", "9"]


async def test_lanes_do_not_fence_one_another(committer: Committer) -> None:
    await asyncio.gather(
        *(committer.settle(lane, numbered(5, f"t{lane}"), always) for lane in range(8))
    )


async def test_a_partly_settled_batch_applies_the_rest_only(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    batch = numbered(6)
    await committer.settle(LANE, batch[:3], always)
    await committer_of(warehouse).settle(LANE, batch, always)
    assert values(warehouse) == [str(i) for i in range(6)]


async def test_the_same_id_with_another_body_is_rejected_within_a_batch_and_across_batches(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    batch = [decoded(insert("t", a=number(i)), id="same") for i in (1, 2)]
    conflict = Reason.IDEMPOTENCY_CONFLICT
    assert reasons(await committer.settle(LANE, batch, always)) == [None, conflict]
    third = [decoded(insert("t", a=number(3)), id="same")]
    assert reasons(await committer.settle(LANE, third, always)) == [conflict]
    assert reasons(await committer.settle(LANE, [*batch, *third], always)) == [
        None,
        conflict,
        conflict,
    ]
    assert values(warehouse) == ["1"]
    assert len(warehouse.settled()) == 3


async def test_an_invalid_body_is_settled_as_rejected(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    outcomes = await committer.settle(LANE, [decode(delivery(b"{", id="bad"))], always)
    assert reasons(outcomes) == [Reason.INVALID_SCHEMA]
    assert [row["state"] for row in warehouse.ledger] == ["rejected"]


@pytest.mark.parametrize("offender", [0, 1, 15, 30, 31])
async def test_one_offender_is_found_and_its_neighbours_are_applied_in_order(
    committer: Committer, warehouse: FakeWarehouse, offender: int
) -> None:
    warehouse.refuses = refuses(str(offender))
    outcomes = await committer.settle(LANE, numbered(32), always)
    wanted = [Reason.WAREHOUSE_REJECTED if i == offender else None for i in range(32)]
    assert reasons(outcomes) == wanted
    assert values(warehouse) == [str(i) for i in range(32) if i != offender]
    assert len(warehouse.commits) <= 14  # a halving for each power of two, and what is between


@pytest.mark.parametrize(("named", "few"), [("strict", True), ("t", False), ("", False)])
async def test_only_transactions_on_the_table_that_failed_are_searched_for_the_offender(
    committer: Committer, warehouse: FakeWarehouse, named: str, *, few: bool
) -> None:
    await committer.settle(LANE, [decoded(insert("strict", a=number(0)), id="first")], always)
    warehouse.refuses, warehouse.refused_table = refuses("9999"), named
    batch = numbered(1800)
    batch[900] = decoded(insert("strict", a=number(9999)), id="bad")
    warehouse.commits.clear()
    outcomes = await committer.settle(LANE, batch, always)
    assert [i for i, each in enumerate(outcomes) if each.rejection] == [900]
    # Few: all, those before the offender, the offender alone, it as rejected with the others.
    assert len(warehouse.commits) == 4 if few else len(warehouse.commits) > 10


async def test_several_offenders_are_each_found(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    warehouse.refuses = refuses("3", "4", "20")
    outcomes = await committer.settle(LANE, numbered(32), always)
    assert [i for i, each in enumerate(outcomes) if each.rejection] == [3, 4, 20]
    assert values(warehouse) == [str(i) for i in range(32) if i not in {3, 4, 20}]


async def test_messages_that_fail_only_together_are_applied_apart(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    warehouse.refuses = lambda rows: {"0", "1"} <= {row["a"] or "" for _, row in rows}
    assert reasons(await committer.settle(LANE, numbered(2), always)) == [None, None]


async def test_no_ddl_is_done_for_a_transaction_that_the_plan_rejects(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    batch = [decoded(insert("new", a=number(1)), delete("missing", a=number(1)), id="1")]
    assert reasons(await committer.settle(LANE, batch, always)) == [Reason.TABLE_MISSING]
    assert warehouse.ddl == []


async def test_a_delete_before_the_insert_that_makes_its_table_is_rejected(
    committer: Committer,
) -> None:
    batch = [decoded(delete("t", a=number(1)), id="1"), *numbered(1)]
    assert reasons(await committer.settle(LANE, batch, always)) == [Reason.TABLE_MISSING, None]


async def test_an_empty_table_that_a_crash_left_is_adopted_and_never_dropped(
    warehouse: FakeWarehouse,
) -> None:
    warehouse.failures.append(WarehouseUnavailable("killed"))
    with pytest.raises(WarehouseUnavailable):
        await committer_of(warehouse).settle(LANE, numbered(1), always)
    assert warehouse.ddl == [("create", "t")]
    batch = [decoded(delete("t", a=number(5)), id="d"), *numbered(1)]
    assert reasons(await committer_of(warehouse).settle(LANE, batch, always)) == [None, None]
    assert warehouse.ddl == [("create", "t")]


@pytest.mark.parametrize("failure", [WarehouseUnavailable("down"), OutcomeUnknown("lost"), Lost()])
async def test_settling_again_after_a_failure_has_one_effect(
    committer: Committer, warehouse: FakeWarehouse, failure: Exception | Lost
) -> None:
    warehouse.failures.append(failure)
    batch = [*numbered(3), decoded(delete("u", a=number(1)), id="rejected")]
    for _ in range(2):
        try:
            outcomes = await committer.settle(LANE, batch, always)
        except WarehouseUnavailable:
            continue
        assert reasons(outcomes) == [None] * 3 + [Reason.TABLE_MISSING]
    assert values(warehouse) == ["0", "1", "2"]
    warehouse.settled()
    assert [row["id"] for row in warehouse.rejected] == ["rejected"]


async def test_a_redelivery_makes_no_tables(committer: Committer, warehouse: FakeWarehouse) -> None:
    await committer.settle(LANE, numbered(1), always)
    del warehouse.catalog["t"], warehouse.rows["t"]
    assert reasons(await committer_of(warehouse).settle(LANE, numbered(1), always)) == [None]
    assert "t" not in warehouse.catalog


async def test_a_rejection_never_rests_on_an_old_look_up(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    await committer.settle(LANE, numbered(1), always)
    warehouse.catalog["t"]["b"] = Column("b", "STRING")
    batch = [decoded(delete("t", b=text("x")), id="d")]
    assert reasons(await committer.settle(LANE, batch, always)) == [None]


async def test_a_replaced_table_is_noticed_when_its_job_fails(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    await committer.settle(LANE, numbered(1), always)
    warehouse.catalog["t"]["a"] = Column("a", "STRING")
    warehouse.refuses = lambda rows: any(row.get("a") == "7" for _, row in rows)
    batch = [decoded(insert("t", a=number(7)), id="x")]
    assert reasons(await committer.settle(LANE, batch, always)) == [Reason.TYPE_CONFLICT]


async def test_a_table_that_others_dropped_is_made_again(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    await committer.settle(LANE, numbered(1), always)
    del warehouse.catalog["t"], warehouse.rows["t"]
    batch = [decoded(insert("t", a=number(2)), id="2")]
    assert reasons(await committer.settle(LANE, batch, always)) == [None]
    assert values(warehouse) == ["2"]


async def test_ddl_that_is_refused_rejects_only_the_transaction_that_needs_it(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    await committer.settle(LANE, numbered(1), always)
    bad = WarehouseRejected("Invalid table name")
    warehouse.ddl_failures.extend([bad, bad, bad])
    batch = [
        decoded(insert("t", a=number(1)), id="1"),
        decoded(insert("long", a=number(2)), id="2"),
        decoded(insert("t", a=number(3)), id="3"),
    ]
    outcomes = await committer.settle(LANE, batch, always)
    assert reasons(outcomes) == [None, Reason.WAREHOUSE_REJECTED, None]


async def test_two_workers_that_create_one_table_with_different_types_both_end(
    warehouse: FakeWarehouse,
) -> None:
    first, second = committer_of(warehouse), committer_of(warehouse)
    outcomes = await asyncio.gather(
        first.settle(1, [decoded(insert("t", a=number(1)), id="1")], always),
        second.settle(2, [decoded(insert("t", a=text("x"), b=text("y")), id="2")], always),
    )
    found = {reasons(each)[0] for each in outcomes}
    assert found == {None, Reason.TYPE_CONFLICT}


async def test_a_ledger_that_cannot_be_written_holds_the_batch_and_rejects_nothing(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    warehouse.refuses = lambda _: True
    batch = [decode(delivery(b"{", id="bad"))]
    with pytest.raises(WarehouseUnavailable):
        await committer.settle(LANE, batch, always)
    assert warehouse.ledger == []


async def test_a_transaction_above_the_request_limit_is_too_large_and_its_neighbours_are_not(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    huge = decoded(insert("t", s=text("é" * 2_000_000)), id="huge")
    batch = [
        decoded(insert("t", a=number(1)), id="1"),
        huge,
        decoded(insert("t", a=number(2)), id="2"),
    ]
    outcomes = await committer.settle(LANE, batch, always)
    assert reasons(outcomes) == [None, Reason.TOO_LARGE, None]
    assert [row.get("a") for row in warehouse.rows["t"]] == ["1", "2"]


async def test_a_batch_above_the_table_limit_is_cut_by_arithmetic(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    tables = MAX_TABLES * 2
    batch = [decoded(insert(f"t{i}", a=number(i)), id=f"i{i}") for i in range(tables)]
    assert reasons(await committer.settle(LANE, batch, always)) == [None] * tables
    assert len(warehouse.commits) <= 4


async def test_a_batch_that_times_out_is_cut_until_it_does_not(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    warehouse.before_commit = _times_out_above(warehouse, 10)
    assert reasons(await committer.settle(LANE, numbered(100), always)) == [None] * 100
    assert values(warehouse) == [str(i) for i in range(100)]


def _times_out_above(warehouse: FakeWarehouse, most: int) -> Callable[[], None]:
    def check() -> None:
        if len(warehouse.commits[-1]) > most:
            raise TimedOut("stopped")

    return check


async def test_a_transaction_that_never_finishes_is_rejected_and_the_others_are_applied(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    def check() -> None:
        if "t-3" in warehouse.commits[-1] and not _is_rejected(warehouse, "t-3"):
            raise TimedOut("stopped")

    warehouse.before_commit = check
    outcomes = await committer.settle(LANE, numbered(8), always)
    assert [i for i, each in enumerate(outcomes) if each.rejection] == [3]
    assert reasons(outcomes)[3] is Reason.TOO_SLOW
    assert values(warehouse) == [str(i) for i in range(8) if i != 3]


def _is_rejected(warehouse: FakeWarehouse, id_: str) -> bool:
    return warehouse.head(LANE).suspect == id_ and (
        warehouse.head(LANE).attempts >= commit.LONE_ATTEMPTS
    )


async def test_attempts_are_counted_across_workers(warehouse: FakeWarehouse) -> None:
    def check() -> None:
        if not _is_rejected(warehouse, "t-0"):
            raise OutcomeUnknown("still running")

    warehouse.before_commit = check
    warehouse.head(LANE).suspect, warehouse.head(LANE).attempts = "t-0", commit.LONE_ATTEMPTS - 1
    outcomes = await committer_of(warehouse).settle(LANE, numbered(1), always)
    assert reasons(outcomes) == [Reason.TOO_SLOW]
    assert len(warehouse.commits) == 2


async def test_a_job_that_commits_after_all_is_not_applied_again(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    warehouse.failures.extend([Lost()])
    outcomes = await committer.settle(LANE, numbered(1), always)
    assert reasons(outcomes) == [None]
    assert values(warehouse) == ["0"]
    assert warehouse.head(LANE).attempts == 0


async def test_a_batch_that_always_conflicts_is_cut_and_then_held(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    def check() -> None:
        if len(warehouse.commits[-1]) > 1:
            raise Conflicted("concurrent update")

    warehouse.before_commit = check
    assert reasons(await committer.settle(LANE, numbered(4), always)) == [None] * 4
    warehouse.failures.append(Conflicted("concurrent update"))
    with pytest.raises(WarehouseUnavailable):
        await committer.settle(LANE, numbered(1, "u"), always)


async def test_more_than_bigquery_takes_in_one_job_is_cut(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    def check() -> None:
        if len(warehouse.commits[-1]) > 2:
            raise TooLarge("resources exceeded")

    warehouse.before_commit = check
    assert reasons(await committer.settle(LANE, numbered(9), always)) == [None] * 9


async def test_another_number_of_lanes_stops_the_worker(warehouse: FakeWarehouse) -> None:
    warehouse.lanes = 16
    with pytest.raises(LaneCountDiffers, match="LANES=16"):
        await committer_of(warehouse).settle(LANE, numbered(1), always)


async def test_rejections_across_sources_and_tables_stop_the_worker_and_settle_nothing(
    warehouse: FakeWarehouse,
) -> None:
    committer = committer_of(warehouse, share=0.5)
    batch = [
        decode(
            delivery(
                body(delete(f"missing{i % 5}", a=number(i))), id=f"d{i}", source=f"team {i % 4}"
            )
        )
        for i in range(MIN_REJECTIONS)
    ]
    with pytest.raises(TooManyRejected, match="table missing"):
        await committer.settle(LANE, batch, always)
    assert warehouse.ledger == []


async def test_the_guard_looks_back_as_far_as_a_copy_can_be_settled(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    random_id, derived_id = "07" + "1" * 30, "07" + "8" * 30
    await committer.settle(LANE, [decoded(insert("t", a=number(1)), id=random_id)], always)
    await committer.settle(LANE, [decoded(insert("t", a=number(2)), id=derived_id)], always)
    copy = decode(delivery(body(insert("t", a=number(3))), id="07" + "2" * 30, copy="possible"))
    await committer.settle(LANE, [copy], always)
    assert [script.settlement.since for script in warehouse.scripts] == [
        "2026-03-01 11:59:00+00:00",
        "2026-02-28 11:59:00+00:00",
        "2026-02-28 11:59:00+00:00",
    ]


async def test_a_column_with_a_default_gets_it_where_a_row_leaves_the_column_out(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    first = [decoded(insert("t", a=number(1), b=text("x")), id="1")]
    await committer.settle(LANE, first, always)
    warehouse.defaults["t"] = {"b": "'none'"}
    committer = committer_of(warehouse)
    batch = [
        decoded(insert("t", a=number(2)), id="2"),
        decoded(insert("t", a=number(3), b=text(None)), id="3"),
    ]
    await committer.settle(LANE, batch, always)
    script = warehouse.scripts[-1]
    assert "IF(SUBSTR(s.m, 1, 1) IN ('2', '3'), s.c1, 'none')" in script.sql
    (rows,) = (text for name, text in script.parameters.items() if name.startswith("rows_"))
    assert json.loads(rows) == [["2", None, "0"], ["3", None, "2"]]


async def test_a_batch_that_needs_many_statements_is_cut_and_a_lone_transaction_is_not(
    committer: Committer, warehouse: FakeWarehouse
) -> None:
    await committer.settle(LANE, [decoded(insert("t", a=number(0), b=number(0)), id="0")], always)
    # Each matches on what the one before it has set: a phase each.
    updates = [
        update("t", {"a": number(i)}, b=number(i + 1))
        if i % 2 == 0
        else update("t", {"b": number(i)}, a=number(i + 1))
        for i in range(MAX_STATEMENTS + 20)
    ]
    several = [decoded(each, id=f"u{i}") for i, each in enumerate(updates)]
    assert set(reasons(await committer.settle(LANE, several, always))) == {None}
    assert all(script.statements <= MAX_STATEMENTS for script in warehouse.scripts)
    parts = len(warehouse.scripts)
    assert warehouse.rows["t"] == [{"a": "120", "b": "119"}]

    assert reasons(await committer.settle(LANE, [decoded(*updates, id="lone")], always)) == [None]
    assert len(warehouse.scripts) == parts + 1
