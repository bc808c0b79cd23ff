"""The catalog as this worker knows it: which tables there are, with which columns.

What it remembers may be out of date, as others change the warehouse too. So nothing is refused on a
memory: a refusal counts only against columns that were looked up for it.
"""

import asyncio
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from schema import ColumnType
from workers.entry import Entry
from workers.outcome import Reason
from workers.plan import Columns, Plan, plan
from workers.warehouse import Warehouse

_MAY_BE_STALE = {Reason.TABLE_MISSING, Reason.COLUMN_MISSING, Reason.TYPE_CONFLICT}
LOOK_UPS_AT_ONCE = 8

type Part = tuple[str, str | None]
"""A table's column by its name without case, or with None the table itself."""


class Made:
    """The tables and columns that a batch made and that no applied transaction has used yet.

    Column names are without case. A plan does not see them, so that making them changes no decision
    of it: a delete is refused on a table that only a later transaction of the batch asked for.
    """

    def __init__(self, parts: AbstractSet[Part] = frozenset()) -> None:
        self.tables = {table for table, column in parts if column is None}
        self.columns = {(table, column) for table, column in parts if column is not None}

    @property
    def parts(self) -> AbstractSet[Part]:
        """All of it."""
        return {*self.columns, *((table, None) for table in self.tables)}

    def with_those_of(self, lacking: Plan) -> "Made":
        """Return this, and what a plan lacks."""
        made = Made(self.parts)
        made.tables |= lacking.creates.keys()
        for table, columns in [*lacking.creates.items(), *lacking.adds.items()]:
            made.add(table, columns)
        return made

    def hide(self, table: str, columns: Columns | None) -> Columns | None:
        """Return the columns of a table without those that were made."""
        if columns is None or table in self.tables:
            return None
        return {name: each for name, each in columns.items() if (table, name) not in self.columns}

    def add(self, table: str, columns: Iterable[tuple[str, ColumnType]]) -> None:
        """Add columns of a table."""
        self.columns |= {(table, name.casefold()) for name, _ in columns}

    def forget(self, table: str, column: str | None) -> None:
        """Strike a column, or a table with all of its columns."""
        if column is not None:
            self.columns.discard((table, column))
            return
        self.tables.discard(table)
        self.columns = {key for key in self.columns if key[0] != table}

    def clear(self) -> None:
        """Strike everything."""
        self.tables.clear()
        self.columns.clear()

    def used_by(self, applied: Iterable[Entry]) -> None:
        """Strike what applied transactions have put to use."""
        if not self.tables and not self.columns:
            return  # as nearly always
        for entry in applied:
            for activity in entry.transaction.activities if entry.transaction else ():
                self.tables.discard(activity.table)
                self.columns -= {(activity.table, name.casefold()) for name in activity.names}


class Catalog:
    """Columns by table, looked up when they are first needed and remembered."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._columns: dict[str, Columns] = {}
        self._slots = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

    async def plan(self, entries: list[Entry], made: Made) -> Plan:
        """Plan a batch; every refusal in it is on what the warehouse says now."""
        doubtful = tables_of(entries) - self._columns.keys()
        asked: set[str] = set()
        while True:
            await self._look_up(doubtful)
            asked |= doubtful
            found = self._plan(entries, made)
            doubtful = _doubtful(found) - asked
            if not doubtful:
                return found

    def lacking(self, plan: Plan) -> Plan:
        """Return the part of a plan's DDL that is still to be done."""
        lacking = Plan()
        for table, columns in plan.creates.items():
            if not all(self._has(table, each) for each in columns):
                lacking.creates[table] = columns
        for table, columns in plan.adds.items():
            missing = [each for each in columns if not self._has(table, each)]
            if missing:
                lacking.adds[table] = missing
        return lacking

    def misfits(self, lacking: Plan, made: Made) -> list[Part]:
        """Return what a failed transaction had made, and is now needed in another shape."""
        parts: list[Part] = [(table, None) for table in lacking.creates if table in made.tables]
        parts += [
            (table, name.casefold())
            for table, columns in lacking.adds.items()
            for name, _ in columns
            if (table, name.casefold()) in made.columns
        ]
        # It may have been noted, and then not made.
        return [part for part in parts if self._there(part)]

    def note(self, lacking: Plan, made: Made) -> None:
        """Correct `made` after DDL: what others have made in another shape is not ours."""
        for table, columns in lacking.creates.items():
            made.forget(table, None)
            if len(self._columns.get(table, ())) == len(columns):
                made.add(table, (each for each in columns if self._has(table, each)))
                made.tables.add(table)
        for table, columns in lacking.adds.items():
            for name, _ in columns:
                made.forget(table, name.casefold())
            made.add(table, (each for each in columns if self._has(table, each)))

    def _there(self, part: Part) -> bool:
        table, column = part
        return table in self._columns and (column is None or column in self._columns[table])

    def _has(self, table: str, column: tuple[str, ColumnType]) -> bool:
        name, declared = column
        own = self._columns.get(table, {}).get(name.casefold())
        return own is not None and own.made_as(declared)

    async def refresh(self, tables: Iterable[str]) -> bool:
        """Look tables up again, and tell whether anything had changed."""
        before = {table: self._columns.get(table) for table in tables}
        await self._look_up(before)
        return before != {table: self._columns.get(table) for table in before}

    def _plan(self, entries: list[Entry], made: Made) -> Plan:
        known = {table: self._columns.get(table) for table in tables_of(entries)}
        return plan(entries, {table: made.hide(table, known[table]) for table in known})

    async def _look_up(self, tables: Iterable[str]) -> None:
        await asyncio.gather(*(self._look_up_one(table) for table in tables))

    async def _look_up_one(self, table: str) -> None:
        async with self._slots:
            columns = await self._warehouse.columns(table)
        if columns is None:
            self._columns.pop(table, None)  # that a table is missing is never remembered
        else:
            self._columns[table] = columns


def tables_of(entries: Iterable[Entry]) -> set[str]:
    """Return the tables that entries name which are not rejected beforehand."""
    return {
        activity.table
        for entry in entries
        if entry.transaction and not entry.rejection
        for activity in entry.transaction.activities
    }


def _doubtful(plan: Plan) -> set[str]:
    """Return the tables about which a plan may be wrong: those refused on, and those to change."""
    refused = (entry for entry, rejection in plan.rejected if rejection.reason in _MAY_BE_STALE)
    return tables_of(refused) | plan.creates.keys() | plan.adds.keys()
