"""Any transactions, any batches, any failures: the warehouse ends as the plain model does."""

import asyncio
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.runtime.warehouse_errors import OutcomeUnknown, TimedOut, WarehouseUnavailable
from ops.trial.model import Model, ModelDecision, Table
from schema import Activity, ColumnType, check_body, parse_type
from tests.support.deliveries import delivery
from tests.support.fake_warehouse import Changes, FakeWarehouse, Lost
from tests.support.strategies import cut, cuts, messages
from workers.catalog import CatalogCache
from workers.commit import CommitSettings, Committer
from workers.decode import DecodedMessage, decode
from workers.rejection_limit import RejectionLimit
from workers.table_columns import Column

TABLES = ("t", "u", "v")
POISON = "poison"  # a table that the warehouse refuses to write
LANE = 3
LEFT_BEHIND = {"table_missing", "column_missing", "type_conflict"}
"""What may turn out otherwise where a failed transaction left an empty table or column behind."""

type Sent = list[tuple[str, bytes]]


class Died(Exception):
    """The worker is killed: another takes its place."""


def always() -> float:
    return math.inf


def poisonous(rows: Changes) -> bool:
    return any(table == POISON for table, _ in rows)


def poisoned(activity: Activity) -> bool:
    return activity.table == POISON


class Workers:
    """A warehouse, the model of it, and workers that take one another's place."""

    def __init__(self, model: Model | None = None) -> None:
        self.warehouse, self.model = FakeWarehouse(), model or Model()
        self._committer = self.another()

    def another(self) -> Committer:
        catalog = CatalogCache(self.warehouse, max_age=math.inf)
        warehouse: Any = self.warehouse  # has a warehouse's methods
        return Committer(warehouse, catalog, RejectionLimit(), CommitSettings("w", 32))

    async def settle(self, part: list[DecodedMessage]) -> list[str | None]:
        """Settle as workers do: again, until nothing is in the way."""
        while True:
            try:
                outcomes = await self._committer.settle(LANE, part, always)
            except Died:
                self._committer = self.another()
            except (WarehouseUnavailable, OutcomeUnknown):
                pass
            else:
                return [outcome.rejection and outcome.rejection.reason for outcome in outcomes]

    def run(self, sent: Sent, sizes: list[int], *, deliveries: int = 1) -> None:
        """Settle all in batches; compare the outcomes and the tables with the model's."""
        asyncio.run(self._run(sent, sizes, deliveries))
        self.compare()

    async def _run(self, sent: Sent, sizes: list[int], deliveries: int) -> None:
        for part in cut(sent, sizes):
            expected = [self.model.apply(id_, data) for id_, data in part]
            for _ in range(deliveries):
                batch = [decode(delivery(data, id=id_)) for id_, data in part]
                assert await self.settle(batch) == expected

    def compare(self) -> None:
        assert self.warehouse.settled() == self.model.ledger
        for name, table in self.model.tables.items():
            assert self.warehouse.catalog[name].keys() >= table.columns.keys(), name
            missing = self.warehouse.catalog[name].keys() - table.columns.keys()
            assert not any(row.get(each) for row in self.warehouse.rows[name] for each in missing)
            names = sorted(table.columns)
            found = sorted(
                str([row.get(each) for each in names]) for row in self.warehouse.rows[name]
            )
            assert found == sorted(str([row.get(each) for each in names]) for row in table.rows), (
                name
            )
        for name in self.warehouse.catalog.keys() - self.model.tables.keys():
            assert self.warehouse.rows[name] == []

    def exact(self) -> None:
        """Check that nothing was made that no applied transaction has asked for."""
        assert self.warehouse.catalog.keys() == self.model.tables.keys()
        for name, table in self.model.tables.items():
            assert self.warehouse.catalog[name].keys() == table.columns.keys(), name
            for column, declared in table.columns.items():
                assert self.warehouse.catalog[name][column].made_as(declared), (name, column)


@settings(max_examples=150)
@given(messages(TABLES, least=1, most=30), cuts(20))
def test_batches_of_any_size_leave_what_one_by_one_leaves(sent: Sent, sizes: list[int]) -> None:
    workers = Workers()
    workers.run(sent, sizes)
    workers.exact()


class Following(Workers):
    """Follows the real outcomes where a table or column may have been left behind."""

    async def _run(self, sent: Sent, sizes: list[int], deliveries: int) -> None:
        for part in cut(sent, sizes):
            batch = [decode(delivery(data, id=id_)) for id_, data in part]
            found = await self.settle(batch)
            for _ in range(deliveries - 1):
                assert await self.settle(batch) == found
            for message, (id_, data), reason in zip(batch, part, found, strict=True):
                self._follow(message.key, id_, data, reason)

    def _follow(self, key: tuple[str, str], id_: str, data: bytes, reason: str | None) -> None:
        if key in self.model.ledger:
            assert self.model.ledger[key] == reason
            return
        decision = self.model.decide(id_, data)
        if decision.reason != reason:
            assert {decision.reason, reason} & LEFT_BEHIND, (decision.reason, reason)
            self._adopt(data)
            decision = self.model.decide(id_, data) if reason is None else ModelDecision(reason, {})
            assert decision.reason == reason
        self.model.settle(key, decision)

    def _adopt(self, data: bytes) -> None:
        """Give the model the empty tables and columns that were left behind."""
        for activity in check_body(data).activities:
            for column in self.warehouse.catalog.get(activity.table, {}).values():
                table = self.model.tables.setdefault(activity.table, Table())
                table.columns.setdefault(column.name.lower(), _declared(column))


def _declared(column: Column) -> ColumnType:
    size = f"({column.precision},{column.scale})" if column.precision else ""
    base = "DECIMAL" if column.base in {"NUMERIC", "BIGNUMERIC"} else column.base
    return parse_type(base + size)


FAILURES = st.sampled_from(
    [WarehouseUnavailable("down"), OutcomeUnknown("who knows"), Lost(), None, None]
)


@settings(max_examples=100)
@given(messages(TABLES, least=1, most=20), cuts(12), st.lists(FAILURES, max_size=12))
def test_lost_answers_outages_and_redeliveries_apply_nothing_twice(
    sent: Sent, sizes: list[int], failures: list[Exception | Lost | None]
) -> None:
    workers = Following()
    workers.warehouse.failures.extend(failures)
    workers.run(sent, sizes, deliveries=2)


@settings(max_examples=100)
@given(messages((*TABLES, POISON), least=1, most=30), cuts(30))
def test_what_the_warehouse_refuses_is_found_among_its_neighbours(
    sent: Sent, sizes: list[int]
) -> None:
    workers = Following(Model(poisoned))
    workers.warehouse.refuses = poisonous
    workers.run(sent, sizes)


DEATHS = st.lists(st.sampled_from([Died(), Lost(), TimedOut("slow"), None]), max_size=12)


@settings(max_examples=100)
@given(
    messages(TABLES, least=2, most=20),
    cuts(12),
    DEATHS,
    st.lists(st.sampled_from([0, 1]), min_size=1, max_size=20),
)
def test_two_workers_with_copies_of_one_lane_settle_each_transaction_once(
    sent: Sent, sizes: list[int], deaths: list[Exception | Lost | None], turns: list[int]
) -> None:
    first = Following()
    first.warehouse.failures.extend(deaths)
    second = Following()
    second.warehouse = first.warehouse
    second._committer = second.another()

    async def run() -> None:
        for number, part in enumerate(cut(sent, sizes)):
            batch = [decode(delivery(data, id=id_)) for id_, data in part]
            pair = (first, second) if turns[number % len(turns)] else (second, first)
            outcomes = await asyncio.gather(*(each.settle(batch) for each in pair))
            assert outcomes[0] == outcomes[1]

    asyncio.run(run())
    first.warehouse.settled()
