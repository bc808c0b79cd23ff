"""The catalogue: tables' columns, looked up when they are needed and trusted for a second.

Others change tables too: a table may be replaced, altered or dropped at any moment. So what is
remembered is looked up again before a commit once it is older than `max_age`, whenever a job fails,
and for every rejection that rests on it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

from schema import Reason
from workers.change_sql import TableLayout
from workers.contract_columns import NO_CONTRACTS, Contracts
from workers.decode import DecodedMessage
from workers.key_states import NO_KEYS, ExistingKeys
from workers.plan import Plan, plan
from workers.table_columns import Columns

MAX_AGE_SECONDS = 1.0
CONCURRENT_LOOK_UPS = 8

_RESTS_ON_THE_CATALOGUE = {
    Reason.TABLE_MISSING,
    Reason.COLUMN_MISSING,
    Reason.TYPE_CONFLICT,
    Reason.CONTRACT,
}


class TableSchema(NamedTuple):
    columns: Columns
    layout: TableLayout


class SchemaSource(Protocol):
    """Where schemas are looked up: `workers.warehouse.Warehouse`."""

    async def schema(self, table: str) -> TableSchema | None:
        """Return a table's schema as it is now; None when there is no such table."""


@dataclass(eq=False)
class CatalogCache:
    """Schemas by table. That a table is missing is never remembered."""

    source: SchemaSource
    _: KW_ONLY
    max_age: float = MAX_AGE_SECONDS
    clock: Callable[[], float] = time.monotonic
    _schemas: dict[str, TableSchema] = field(default_factory=dict, init=False)
    _read_at: dict[str, float] = field(default_factory=dict, init=False)
    _slots: asyncio.Semaphore = field(
        default_factory=partial(asyncio.Semaphore, CONCURRENT_LOOK_UPS), init=False
    )

    async def plan(
        self,
        messages: list[DecodedMessage],
        contracts: Contracts = NO_CONTRACTS,
        existing: ExistingKeys = NO_KEYS,
    ) -> Plan:
        """Plan a batch; every rejection in it rests on what the warehouse answers now."""
        oldest = self.clock() - self.max_age
        tables = tables_of(messages)
        doubtful = {
            table for table in tables if table not in self._schemas or self._read_at[table] < oldest
        }
        asked: set[str] = set()
        while True:
            await self._look_up(doubtful)
            asked |= doubtful
            columns = {table: self._columns(table) for table in tables}
            found = plan(messages, columns, contracts, existing)
            doubtful = _doubtful(found) - asked
            if not doubtful:
                return found

    def layouts(self, tables: Iterable[str]) -> dict[str, TableLayout]:
        """Return what the statements on some tables need of their schemas."""
        return {table: self._schemas[table].layout for table in tables if table in self._schemas}

    async def refresh(self, tables: Iterable[str]) -> bool:
        """Look tables up again; return whether anything had changed."""
        before = {table: self._schemas.get(table) for table in tables}
        await self._look_up(before)
        return before != {table: self._schemas.get(table) for table in before}

    def _columns(self, table: str) -> Columns | None:
        return self._schemas[table].columns if table in self._schemas else None

    async def _look_up(self, tables: Iterable[str]) -> None:
        await asyncio.gather(*(self._look_up_one(table) for table in tables))

    async def _look_up_one(self, table: str) -> None:
        async with self._slots:
            asked_at = self.clock()
            schema = await self.source.schema(table)
        if schema is None:
            self._schemas.pop(table, None)
        else:
            self._schemas[table], self._read_at[table] = schema, asked_at


def tables_of(messages: Iterable[DecodedMessage]) -> set[str]:
    """Return the tables that messages name which are not rejected already."""
    return {activity.table for message in messages for activity in message.activities}


def _doubtful(found: Plan) -> set[str]:
    """Return the tables about which a plan may be wrong: those refused on, and those to change."""
    refused = (each for each, (reason, _) in found.rejected if reason in _RESTS_ON_THE_CATALOGUE)
    return tables_of(refused) | found.creates.keys() | found.adds.keys()
