"""Any transactions, any batches, any failures: the warehouse ends as the plain model does."""

import asyncio
import contextlib
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.audit.model import Model
from schema import Activity
from tests.support.deliveries import delivery
from tests.support.fake_warehouse import FakeWarehouse, Lost, Row
from tests.support.strategies import cut, cuts, messages
from workers.apply import Applier
from workers.entry import Entry, decode
from workers.guard_rail import GuardRail
from workers.warehouse import OutcomeUnknown, WarehouseUnavailable

TABLES = ("t", "u", "v")
POISON = "poison"  # a table that the warehouse refuses to write


def _always() -> float:
    return math.inf


def _poisonous(rows: list[tuple[str, Row]]) -> bool:
    return any(table == POISON for table, _ in rows)


def _poisoned(activity: Activity) -> bool:
    return activity.table == POISON


async def _settle(applier: Applier, entries: list[Entry]) -> list[str | None]:
    """Settle as a worker does: again, until nothing is in the way."""
    while True:
        with contextlib.suppress(WarehouseUnavailable, OutcomeUnknown):
            outcomes = await applier.settle(entries, _always)
            return [outcome.rejection and outcome.rejection.reason for outcome in outcomes]


def _compare(warehouse: FakeWarehouse, model: Model) -> None:
    assert warehouse.settled() == model.ledger
    assert warehouse.catalog.keys() == model.tables.keys()
    for name, table in model.tables.items():
        assert warehouse.catalog[name].keys() == table.columns.keys(), name
        assert warehouse.counted(name) == table.counted(), name
        for column, declared in table.columns.items():
            assert warehouse.catalog[name][column].made_as(declared), (name, column)


@settings(max_examples=150)
@given(messages(TABLES, least=1, most=30), cuts(20))
def test_batches_of_any_size_leave_what_one_by_one_leaves(
    sent: list[tuple[str, bytes]], sizes: list[int]
) -> None:
    warehouse, model = FakeWarehouse(), Model()
    applier = Applier(warehouse, "p.d", "a worker", GuardRail())

    async def run() -> None:
        for part in cut(sent, sizes):
            entries = [decode(delivery(data, id=id_)) for id_, data in part]
            expected = [model.apply(id_, data) for id_, data in part]
            assert await _settle(applier, entries) == expected

    asyncio.run(run())
    _compare(warehouse, model)


FAILURES = st.sampled_from(
    [WarehouseUnavailable("down"), OutcomeUnknown("who knows"), Lost(), None, None]
)


@settings(max_examples=100)
@given(messages(TABLES, least=1, most=20), cuts(12), st.lists(FAILURES, max_size=12))
def test_lost_answers_outages_and_redeliveries_change_nothing(
    sent: list[tuple[str, bytes]], sizes: list[int], failures: list[Exception | Lost | None]
) -> None:
    warehouse, model = FakeWarehouse(), Model()
    warehouse.failures.extend(failures)
    applier = Applier(warehouse, "p.d", "a worker", GuardRail())

    async def run() -> None:
        for part in cut(sent, sizes):
            entries = [decode(delivery(data, id=id_)) for id_, data in part]
            expected = [model.apply(id_, data) for id_, data in part]
            assert await _settle(applier, entries) == expected
            redelivered = [decode(delivery(data, id=id_)) for id_, data in part]
            assert await _settle(applier, redelivered) == expected

    asyncio.run(run())
    _compare(warehouse, model)


@settings(max_examples=100)
@given(messages((*TABLES, POISON), least=1, most=30), cuts(30))
def test_what_the_warehouse_refuses_is_found_among_its_neighbours_and_leaves_nothing(
    sent: list[tuple[str, bytes]], sizes: list[int]
) -> None:
    warehouse, model = FakeWarehouse(), Model(_poisoned)
    warehouse.refuses = _poisonous
    applier = Applier(warehouse, "p.d", "a worker", GuardRail())

    async def run() -> None:
        for part in cut(sent, sizes):
            entries = [decode(delivery(data, id=id_)) for id_, data in part]
            expected = [model.apply(id_, data) for id_, data in part]
            assert await _settle(applier, entries) == expected

    asyncio.run(run())
    _compare(warehouse, model)
