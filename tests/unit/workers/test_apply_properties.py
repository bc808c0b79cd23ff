"""Any transactions, any batches, any failures: the warehouse ends as the plain model does."""

import asyncio
import math
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.trial.model import Model
from schema import Activity
from tests.support.deliveries import delivery
from tests.support.fake_warehouse import FakeWarehouse, Lost, Row
from tests.support.strategies import cut, cuts, messages
from workers.apply import Applier
from workers.entry import decode
from workers.guard_rail import GuardRail
from workers.unused import Unused
from workers.warehouse import OutcomeUnknown, WarehouseUnavailable

TABLES = ("t", "u", "v")
POISON = "poison"  # a table that the warehouse refuses to write

type Sent = list[tuple[str, bytes]]


class _Died(Exception):
    """The worker is killed: another takes its place."""


def _always() -> float:
    return math.inf


def _poisonous(rows: list[tuple[str, Row]]) -> bool:
    return any(table == POISON for table, _ in rows)


def _poisoned(activity: Activity) -> bool:
    return activity.table == POISON


class Workers:
    """A warehouse, the model of it, and workers that take one another's place."""

    def __init__(self, folder: str, model: Model | None = None) -> None:
        self.warehouse, self.model = FakeWarehouse(), model or Model()
        self._folder = Path(folder)
        self._start()

    def _start(self) -> None:
        self._unused = Unused(self._folder)
        self._applier = Applier(self.warehouse, "p.d", "a worker", GuardRail(), self._unused)

    async def settle(self, part: Sent) -> list[str | None]:
        """Settle as workers do: again, until nothing is in the way."""
        while True:
            entries = [decode(delivery(data, id=id_)) for id_, data in part]
            try:
                outcomes = await self._applier.settle(entries, _always)
            except _Died:
                self._unused.close()
                self._start()
            except (WarehouseUnavailable, OutcomeUnknown):
                pass
            else:
                return [outcome.rejection and outcome.rejection.reason for outcome in outcomes]

    def run(self, sent: Sent, sizes: list[int], *, deliveries: int = 1) -> None:
        """Settle all in batches, and compare the outcomes and what is left with the model's."""

        async def run() -> None:
            for part in cut(sent, sizes):
                expected = [self.model.apply(id_, data) for id_, data in part]
                for _ in range(deliveries):
                    assert await self.settle(part) == expected

        asyncio.run(run())
        self._unused.close()
        self._compare()

    def _compare(self) -> None:
        assert self.warehouse.settled() == self.model.ledger
        assert self.warehouse.catalog.keys() == self.model.tables.keys()
        for name, table in self.model.tables.items():
            assert self.warehouse.catalog[name].keys() == table.columns.keys(), name
            assert self.warehouse.counted(name) == table.counted(), name
            for column, declared in table.columns.items():
                assert self.warehouse.catalog[name][column].made_as(declared), (name, column)


@settings(max_examples=150)
@given(messages(TABLES, least=1, most=30), cuts(20))
def test_batches_of_any_size_leave_what_one_by_one_leaves(sent: Sent, sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Workers(folder).run(sent, sizes)


FAILURES = st.sampled_from(
    [WarehouseUnavailable("down"), OutcomeUnknown("who knows"), Lost(), None, None]
)


@settings(max_examples=100)
@given(messages(TABLES, least=1, most=20), cuts(12), st.lists(FAILURES, max_size=12))
def test_lost_answers_outages_and_redeliveries_change_nothing(
    sent: Sent, sizes: list[int], failures: list[Exception | Lost | None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workers = Workers(folder)
        workers.warehouse.failures.extend(failures)
        workers.run(sent, sizes, deliveries=2)


DEATHS = st.lists(st.sampled_from([_Died(), _Died(), Lost(), None]), max_size=12)
DDL_DEATHS = st.lists(st.sampled_from([_Died(), None]), max_size=12)


@settings(max_examples=100)
@given(messages((*TABLES, POISON), least=1, most=20), cuts(12), DEATHS, DDL_DEATHS)
def test_whenever_workers_die_those_who_follow_leave_what_they_would_have_left(
    sent: Sent,
    sizes: list[int],
    deaths: list[Exception | Lost | None],
    ddl_deaths: list[Exception | None],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workers = Workers(folder, Model(_poisoned))
        workers.warehouse.refuses = _poisonous
        workers.warehouse.failures.extend(deaths)
        workers.warehouse.ddl_failures.extend(ddl_deaths)
        workers.run(sent, sizes)


@settings(max_examples=100)
@given(messages((*TABLES, POISON), least=1, most=30), cuts(30))
def test_what_the_warehouse_refuses_is_found_among_its_neighbours_and_leaves_nothing(
    sent: Sent, sizes: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workers = Workers(folder, Model(_poisoned))
        workers.warehouse.refuses = _poisonous
        workers.run(sent, sizes)
