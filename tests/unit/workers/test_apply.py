import errno
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.deliveries import body, delete, delivery, entry, insert, number, text
from tests.support.fake_warehouse import FakeWarehouse, Lost, Row
from workers import apply
from workers.apply import Applier, Outcome
from workers.entry import Entry, decode
from workers.guard_rail import GuardRail
from workers.outcome import Reason
from workers.plan import MAX_TABLES, Column
from workers.sql import Script
from workers.unused import Unused
from workers.warehouse import (
    Fence,
    OutcomeUnknown,
    TimedOut,
    WarehouseRejected,
    WarehouseUnavailable,
)


def always() -> float:
    return math.inf


@pytest.fixture
def warehouse() -> FakeWarehouse:
    return FakeWarehouse()


@pytest.fixture
def unused(tmp_path: Path) -> Unused:
    return Unused(tmp_path)


@pytest.fixture
def applier(warehouse: FakeWarehouse, unused: Unused) -> Applier:
    return Applier(warehouse, "p.d", "a worker", GuardRail(), unused)


def _another(warehouse: FakeWarehouse, folder: Path) -> Applier:
    """Return a second worker of the same machine, or of another where the folder is another."""
    return Applier(warehouse, "p.d", "another worker", GuardRail(), Unused(folder))


def _reasons(outcomes: list[Outcome]) -> list[Reason | None]:
    return [outcome.rejection.reason if outcome.rejection else None for outcome in outcomes]


def _refuses(*values: str) -> Callable[[list[tuple[str, Row]]], bool]:
    return lambda rows: any(row.get("a") in values for _, row in rows)


def _numbered(count: int, table: str = "t") -> list[Entry]:
    return [entry(insert(table, a=number(i)), id=f"{table}-{i}") for i in range(count)]


def _values(warehouse: FakeWarehouse, table: str = "t") -> list[str | None]:
    return [row["a"] for row in warehouse.rows[table]]


async def test_in_steady_state_a_batch_is_one_commit_and_nothing_else(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    await applier.settle(_numbered(1), always)
    warehouse.commits.clear()
    looked_up = warehouse.lookups

    await applier.settle([entry(insert("t", a=number(i))) for i in range(9)], always)

    assert len(warehouse.commits) == 1
    assert warehouse.lookups == looked_up


async def test_a_redelivery_after_the_commit_changes_nothing_and_has_the_same_outcome(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    batch = [*_numbered(2), entry(delete("gone", a=number(1)))]
    first = _reasons(await applier.settle(batch, always))
    rows = _values(warehouse)

    again = _reasons(await applier.settle(batch, always))

    assert again == first == [None, None, Reason.TABLE_MISSING]
    assert _values(warehouse) == rows
    assert len(warehouse.settled()) == 3


async def test_a_partly_settled_batch_applies_the_rest_only(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    batch = _numbered(4)
    await applier.settle(batch[1:3], always)

    assert _reasons(await applier.settle(batch, always)) == [None] * 4

    assert sorted(_values(warehouse)) == ["0", "1", "2", "3"]


async def test_the_same_id_with_another_body_is_rejected_within_a_batch_and_across_batches(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    first, other, third = (entry(insert("t", a=number(i)), id="same") for i in range(3))

    assert _reasons(await applier.settle([first, other], always)) == [
        None,
        Reason.IDEMPOTENCY_CONFLICT,
    ]
    assert _reasons(await applier.settle([third], always)) == [Reason.IDEMPOTENCY_CONFLICT]
    assert _values(warehouse) == ["0"]


async def test_an_invalid_body_is_settled_as_rejected(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    outcomes = await applier.settle([decode(delivery(b"{", id="x"))], always)

    assert _reasons(outcomes) == [Reason.INVALID_SCHEMA]
    assert list(warehouse.settled().values()) == ["invalid_schema"]


@pytest.mark.parametrize("count", [1, 2, 3, 16, 33])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
async def test_one_offender_is_found_its_neighbours_applied_in_order_within_the_bound(
    applier: Applier, warehouse: FakeWarehouse, count: int, where: str
) -> None:
    offender = {"first": 0, "middle": count // 2, "last": count - 1}[where]
    await applier.settle([entry(insert("t", a=number(99)))], always)
    warehouse.commits.clear()
    warehouse.refuses = _refuses(str(offender))

    outcomes = await applier.settle(_numbered(count), always)

    expected: list[Reason | None] = [None] * count
    expected[offender] = Reason.WAREHOUSE_REJECTED
    assert _reasons(outcomes) == expected
    assert _values(warehouse) == ["99", *(str(i) for i in range(count) if i != offender)]
    # The whole; a halving each; the offender alone; what is behind it together with its rejection.
    assert len(warehouse.commits) <= 3 + math.ceil(math.log2(count))


async def test_several_offenders_are_each_found_within_the_bound(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    count, offenders = 64, (0, 1, 31, 63)
    warehouse.refuses = _refuses(*map(str, offenders))

    outcomes = await applier.settle(_numbered(count), always)

    rejected = [index for index, reason in enumerate(_reasons(outcomes)) if reason]
    assert rejected == list(offenders)
    assert len(warehouse.commits) <= len(offenders) * (2 + math.ceil(math.log2(count))) + 1


async def test_company_that_fails_only_together_is_applied_apart(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    warehouse.refuses = lambda rows: {"0", "1"} <= {row.get("a") or "" for _, row in rows}

    assert _reasons(await applier.settle(_numbered(2), always)) == [None, None]
    assert sorted(_values(warehouse)) == ["0", "1"]


async def test_what_the_offender_alone_asked_for_is_dropped_and_the_rest_is_kept(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    await applier.settle([entry(insert("old", a=number(1)))], always)
    warehouse.refuses = _refuses("7")
    offender = entry(
        insert("new", a=number(1)),
        insert("shared", a=number(7), extra=number(1)),
        insert("old", a=number(1), more=text("x"), Both=number(1)),
    )
    others = entry(insert("shared", A=number(2)), insert("old", BOTH=number(None)))

    assert _reasons(await applier.settle([offender, others], always)) == [
        Reason.WAREHOUSE_REJECTED,
        None,
    ]

    columns = {table: set(own) for table, own in warehouse.catalog.items()}
    assert columns == {"old": {"a", "both"}, "shared": {"a"}}


async def test_a_worker_that_dies_after_a_rejection_leaves_nothing_that_it_asked_for(
    applier: Applier, warehouse: FakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = [
        entry(insert("t", a=number(1)), id="good"),
        entry(insert("spoilt", a=number(13)), insert("t", a=number(13), new=number(1)), id="bad"),
        entry(insert("u", a=number(2)), id="behind"),
    ]
    warehouse.refuses = _refuses("13")
    commit = warehouse.commit

    async def commit_and_die(script: Script, fence: Fence) -> None:
        await commit(script, fence)
        if warehouse.settled().get(batch[1].key):
            raise KeyboardInterrupt

    monkeypatch.setattr(warehouse, "commit", commit_and_die)
    with pytest.raises(KeyboardInterrupt):
        await applier.settle(batch, always)
    assert "spoilt" not in warehouse.catalog
    assert "new" not in warehouse.catalog["t"]
    assert _values(warehouse) == ["1"]
    assert _values(warehouse, "u") == ["2"]


async def test_no_ddl_is_made_for_a_transaction_that_the_plan_rejects(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    batch = [entry(insert("new", a=number(1)), delete("gone", a=number(1))), *_numbered(1)]

    await applier.settle(batch, always)

    assert warehouse.ddl == [("create", "t")]


async def test_a_delete_before_the_insert_that_makes_its_table_is_still_rejected(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    early = entry(delete("new", a=number(1)), insert("u", a=number(1)))
    batch = [early, entry(insert("new", a=number(1)))]

    assert _reasons(await applier.settle(batch, always)) == [Reason.TABLE_MISSING, None]
    assert warehouse.catalog.keys() == {"new"}


@pytest.mark.parametrize("column", [None, "b"])
async def test_a_worker_that_dies_after_the_ddl_leaves_no_earlier_refusal_undecided(
    applier: Applier, warehouse: FakeWarehouse, tmp_path: Path, column: str | None
) -> None:
    """Where the table or column is there, another worker would decide otherwise."""
    if column is None:
        early, late = delete("t", a=number(1)), insert("t", a=number(1))
        reason = Reason.TABLE_MISSING
    else:
        await applier.settle([entry(insert("t", a=number(0)))], always)
        early, late = delete("t", b=number(1)), insert("t", b=number(1))
        reason = Reason.COLUMN_MISSING
    entries = [
        entry(insert("u", a=number(1)), id="before"),
        entry(early, id="early"),
        entry(late, id="late"),
    ]
    ledger = len(warehouse.ledger)
    warehouse.failures.extend([None, WarehouseUnavailable("the worker dies")])
    with pytest.raises(WarehouseUnavailable):
        await applier.settle(entries, always)
    assert [row["id"] for row in warehouse.ledger[ledger:]] == ["before", "early"]
    assert warehouse.ddl[-1] == ("create" if column is None else "add", "t")

    another = _another(warehouse, tmp_path / "another machine")
    assert _reasons(await another.settle(entries, always)) == [None, reason, None]


@pytest.mark.parametrize("machine", ["the same", "another"])
async def test_who_follows_a_worker_that_died_between_ddl_and_commit_decides_as_it_would_have(
    applier: Applier, warehouse: FakeWarehouse, unused: Unused, tmp_path: Path, machine: str
) -> None:
    await applier.settle([entry(insert("old", a=number(1)))], always)
    batch = [
        entry(insert("spoilt", a=number(13)), insert("old", a=number(13), new=number(1))),
        entry(delete("old", new=number(1))),
    ]
    warehouse.refuses = _refuses("13")
    warehouse.failures.append(WarehouseUnavailable("the worker dies"))
    with pytest.raises(WarehouseUnavailable):
        await applier.settle(batch, always)
    assert [made for made in warehouse.ddl if made[0] != "drop"][-2:] == [
        ("create", "spoilt"),
        ("add", "old"),
    ]
    unused.close()

    noted = machine == "the same"
    another = _another(warehouse, tmp_path if noted else tmp_path / "nothing is noted")
    reasons = _reasons(await another.settle(batch, always))

    right = [Reason.WAREHOUSE_REJECTED, Reason.COLUMN_MISSING]
    assert (reasons == right) is noted
    assert ("spoilt" not in warehouse.catalog) is noted
    assert ("new" not in warehouse.catalog["old"]) is noted


async def test_a_worker_that_cannot_note_what_it_makes_makes_nothing(
    applier: Applier, warehouse: FakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    batch = [entry(insert("new", a=number(1)))]
    with monkeypatch.context() as patched:
        patched.setattr("workers.unused._write", full)
        with pytest.raises(WarehouseUnavailable, match="No space left"):
            await applier.settle(batch, always)
    assert warehouse.ddl == []

    assert _reasons(await applier.settle(batch, always)) == [None]


async def test_an_outage_after_the_ddl_does_not_change_what_is_decided(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    batch = [entry(delete("new", a=number(1))), entry(insert("new", a=number(1)))]
    warehouse.failures.append(WarehouseUnavailable("down"))

    with pytest.raises(WarehouseUnavailable):
        await applier.settle(batch, always)

    assert _reasons(await applier.settle(batch, always)) == [Reason.TABLE_MISSING, None]


@pytest.mark.parametrize("failure", [WarehouseUnavailable("down"), OutcomeUnknown("?"), Lost()])
async def test_an_outage_is_raised_and_settling_again_has_one_effect(
    applier: Applier, warehouse: FakeWarehouse, failure: Exception | Lost
) -> None:
    batch = _numbered(3)
    warehouse.failures.append(failure)

    with pytest.raises((WarehouseUnavailable, OutcomeUnknown)):
        await applier.settle(batch, always)
    outcomes = await applier.settle(batch, always)

    assert _reasons(outcomes) == [None] * 3
    assert _values(warehouse) == ["0", "1", "2"]
    assert len(warehouse.settled()) == 3


async def test_a_lost_answer_drops_nothing_that_was_put_to_use(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    await applier.settle(_numbered(1), always)
    batch = [
        entry(insert("emptied", a=number(1)), delete("emptied", a=number(1))),
        entry(insert("t", a=number(1), null=text(None))),
    ]
    warehouse.failures.append(Lost())

    with pytest.raises(OutcomeUnknown):
        await applier.settle(batch, always)
    assert _reasons(await applier.settle(batch, always)) == [None, None]

    assert warehouse.catalog.keys() == {"t", "emptied"}
    assert "null" in warehouse.catalog["t"]


async def test_a_redelivery_makes_no_tables(
    applier: Applier, warehouse: FakeWarehouse, tmp_path: Path
) -> None:
    batch = _numbered(1)
    await applier.settle(batch, always)
    del warehouse.catalog["t"]  # by an operator, since then
    warehouse.ddl.clear()

    assert _reasons(await _another(warehouse, tmp_path).settle(batch, always)) == [None]
    assert warehouse.ddl == []


async def test_a_refusal_on_an_old_memory_of_the_catalog_is_not_believed(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    await applier.settle(_numbered(1), always)
    warehouse.catalog["t"]["b"] = Column("b", "STRING")  # by another worker

    outcomes = await applier.settle([entry(delete("t", b=text("x")))], always)

    assert _reasons(outcomes) == [None]


async def test_only_what_may_be_wrong_is_looked_up_again(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    await applier.settle(_numbered(1, "t") + _numbered(1, "u") + _numbered(1, "v"), always)
    warehouse.looked_at.clear()
    batch = [
        entry(insert("t", a=number(7))),
        entry(delete("u", ghost=number(1))),
        entry(insert("v", a=number(8), new=number(1))),
    ]
    assert _reasons(await applier.settle(batch, always)) == [None, Reason.COLUMN_MISSING, None]
    assert "t" not in warehouse.looked_at
    assert {"u", "v"} <= set(warehouse.looked_at)


async def test_a_table_that_others_dropped_is_made_again(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    await applier.settle(_numbered(1), always)
    del warehouse.catalog["t"], warehouse.rows["t"]

    outcomes = await applier.settle([entry(insert("t", a=number(5)))], always)

    assert _reasons(outcomes) == [None]
    assert _values(warehouse) == ["5"]


async def test_ddl_that_is_refused_rejects_only_who_asked_for_it(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    good, bad = entry(insert("t", a=number(1))), entry(insert("nope", a=number(1)))
    original = warehouse.create_table

    async def create_table(table: str, *rest: object) -> None:
        if table == "nope":
            raise WarehouseRejected("no such name")
        await original(table, *rest)  # type: ignore[arg-type]

    warehouse.create_table = create_table  # type: ignore[method-assign, assignment]

    outcomes = await applier.settle([bad, good], always)

    assert _reasons(outcomes) == [Reason.WAREHOUSE_REJECTED, None]
    assert warehouse.catalog.keys() == {"t"}


async def test_a_ledger_that_cannot_be_written_holds_the_batch_and_rejects_nothing(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    warehouse.failures.extend([WarehouseRejected("Access Denied")] * 100)

    with pytest.raises(WarehouseUnavailable):
        await applier.settle(_numbered(4), always)

    assert warehouse.ledger == []


async def test_a_transaction_past_the_request_limit_is_too_large_and_its_neighbours_are_not(
    applier: Applier, warehouse: FakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.sql.MAX_REQUEST_BYTES", 20_000)
    batch = [*_numbered(2), entry(insert("t", b=text("x" * 20_000))), *_numbered(2, "u")]

    outcomes = await applier.settle(batch, always)

    assert _reasons(outcomes) == [None, None, Reason.TOO_LARGE, None, None]
    assert "b" not in warehouse.catalog["t"]


async def test_a_batch_past_the_table_limit_is_cut_and_applied(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    batch = [entry(insert(f"t{i}", a=number(1))) for i in range(MAX_TABLES + 5)]

    assert _reasons(await applier.settle(batch, always)) == [None] * len(batch)
    assert len(warehouse.catalog) == len(batch)


async def test_a_guard_that_contradicts_the_ledger_holds_the_batch(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    warehouse.failures.extend([apply.AlreadySettled()] * 100)

    with pytest.raises(WarehouseUnavailable):
        await applier.settle([entry(insert("t", a=number(1)))], always)


async def test_a_received_at_without_an_offset_is_counted_as_utc(
    applier: Applier, warehouse: FakeWarehouse
) -> None:
    foreign = delivery(body(insert("t", a=number(1))), id="x", received_at="2026-03-01T12:00:00")

    assert _reasons(await applier.settle([decode(foreign)], always)) == [None]
    assert len(warehouse.settled()) == 1


async def test_a_batch_that_takes_too_long_is_halved_until_it_does_not_and_grows_again(
    warehouse: FakeWarehouse, applier: Applier
) -> None:
    plain, slow_above = warehouse.commit, 6

    async def commit(script: Script, fence: Fence) -> None:
        if len(json.loads(script.parameters["ledger"])) > slow_above:
            raise TimedOut("Job timed out after 40s")
        await plain(script, fence)

    warehouse.commit = commit  # type: ignore[method-assign]
    warehouse.catalog["t"] = {"a": Column("a", "INT64", None, None)}
    warehouse.rows["t"] = []
    batch = [entry(insert("t", a=number(n))) for n in range(40)]
    assert _reasons(await applier.settle(batch, always)) == [None] * 40
    assert [row["a"] for row in warehouse.rows["t"]] == [str(n) for n in range(40)]
    assert max(map(len, warehouse.commits)) <= slow_above

    slow_above = 1_000
    for first in range(40, 1_000, 40):
        more = [entry(insert("t", a=number(n))) for n in range(first, first + 40)]
        await applier.settle(more, always)
    assert len(warehouse.commits[-1]) == 40


async def test_a_transaction_that_takes_too_long_alone_is_held(
    warehouse: FakeWarehouse, applier: Applier
) -> None:
    warehouse.failures.extend([TimedOut("Job timed out after 40s")] * 2)
    batch = [entry(insert("t", a=number(n))) for n in range(3)]
    with pytest.raises(TimedOut):
        await applier.settle(batch, always)
    assert _reasons(await applier.settle(batch, always)) == [None] * 3
    assert len(warehouse.rows["t"]) == 3
