"""The catalog as this worker knows it: which tables there are, with which columns.

What it remembers may be out of date, as others change the warehouse too. So nothing is refused on a
memory: a refusal counts only against columns that were looked up for it.
"""

import asyncio
from collections.abc import Iterable

from workers.entry import Entry
from workers.outcome import Reason
from workers.plan import Columns, Plan, plan
from workers.warehouse import Warehouse

_MAY_BE_STALE = {Reason.TABLE_MISSING, Reason.COLUMN_MISSING, Reason.TYPE_CONFLICT}
LOOK_UPS_AT_ONCE = 8


class Catalog:
    """Columns by table, looked up when they are first needed and remembered."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._columns: dict[str, Columns] = {}
        self._slots = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

    async def plan(self, entries: list[Entry]) -> Plan:
        """Plan a batch; every refusal in it is on what the warehouse says now."""
        tables = _tables(entries)
        remembered = tables & self._columns.keys()
        await self._look_up(tables - remembered)
        first = self._plan(entries)
        doubtful = any(rejection.reason in _MAY_BE_STALE for _, rejection in first.rejected)
        if not (doubtful or first.changes_the_catalog) or not remembered:
            return first
        await self._look_up(remembered)
        return self._plan(entries)

    async def refresh(self, entries: list[Entry]) -> bool:
        """Look the tables of a batch up again, and tell whether anything had changed."""
        tables = _tables(entries)
        before = {table: self._columns.get(table) for table in tables}
        await self._look_up(tables)
        return before != {table: self._columns.get(table) for table in tables}

    def _plan(self, entries: list[Entry]) -> Plan:
        return plan(entries, {table: self._columns.get(table) for table in _tables(entries)})

    async def _look_up(self, tables: Iterable[str]) -> None:
        await asyncio.gather(*(self._look_up_one(table) for table in tables))

    async def _look_up_one(self, table: str) -> None:
        async with self._slots:
            columns = await self._warehouse.columns(table)
        if columns is None:
            self._columns.pop(table, None)  # that a table is missing is never remembered
        else:
            self._columns[table] = columns


def _tables(entries: Iterable[Entry]) -> set[str]:
    return {
        table
        for entry in entries
        if entry.transaction and not entry.rejection
        for table in entry.transaction.tables
    }
