"""What the transactions must come to, one by one, on plain lists of rows.

Written from the stated semantics alone: it shares nothing with `workers`.
"""

from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple, Self

from schema import Activity, ColumnType, InvalidJSON, InvalidSchema, check_body

MAX_TABLES = 99
"""Of one transaction; BigQuery has 100, of which the ledger is one."""

type Row = dict[str, str | None]


class _Refused(Exception):
    """The text is the reason."""


class Table:
    """Columns by lower-case name, and rows. A row is never changed, only added or removed."""

    def __init__(self) -> None:
        self.columns: dict[str, ColumnType] = {}
        self.rows: list[Row] = []

    def copy(self) -> Self:
        """Return a table that can be changed without changing this one."""
        other = type(self)()
        other.columns, other.rows = dict(self.columns), list(self.rows)
        return other

    def counted(self) -> Counter[tuple[str | None, ...]]:
        """Return the rows as a multiset, their values in the order of the sorted column names."""
        names = sorted(self.columns)
        return Counter(tuple(row.get(name) for name in names) for row in self.rows)


def _fits(declared: ColumnType, column: ColumnType) -> bool:
    if declared.base != column.base:
        return False
    if column.precision is None or declared.precision is None:
        return True
    whole = (column.precision or 0) - (column.scale or 0)
    theirs = declared.precision - (declared.scale or 0)
    return theirs <= whole and (declared.scale or 0) <= (column.scale or 0)


def _apply(activity: Activity, tables: dict[str, Table]) -> None:
    table = tables.get(activity.table)
    if activity.operation == "delete" and table is None:
        raise _Refused("table_missing")
    if table is None:
        table = tables[activity.table] = Table()
    given: Row = {}
    for name, declared, value in zip(activity.names, activity.types, activity.values, strict=True):
        key = name.lower()
        if key not in table.columns:
            if activity.operation == "delete":
                raise _Refused("column_missing")
            table.columns[key] = declared
        elif not _fits(declared, table.columns[key]):
            raise _Refused("type_conflict")
        given[key] = value
    if activity.operation == "insert":
        table.rows.append(given)
    elif None in given.values():
        table.rows = [
            row
            for row in table.rows
            if not all(row.get(name) == value for name, value in given.items())
        ]
    else:  # a row without the column has NULL there, which is no value; so in one step
        wanted = given.items()
        table.rows = [row for row in table.rows if not wanted <= row.items()]


class Decision(NamedTuple):
    """What one transaction comes to: why it is rejected, or the tables that it leaves changed."""

    reason: str | None
    tables: dict[str, Table]


class Model:
    """Tables and the ledger; `poisoned` says which activities the warehouse itself refuses.

    `ledger` is by (id, SHA-256 of the body): the reason of a rejection, None for an applied one.
    """

    def __init__(self, poisoned: Callable[[Activity], bool] = lambda _: False) -> None:
        self.tables: dict[str, Table] = {}
        self.ledger: dict[tuple[str, str], str | None] = {}
        self._ids: set[str] = set()
        self._poisoned = poisoned

    def apply(self, id_: str, data: bytes) -> str | None:
        """Apply a transaction; return the reason of its rejection, None when it is applied."""
        key = id_, sha256(data).hexdigest()
        if key not in self.ledger:
            decision = self.decide(id_, data)
            self.settle(key, decision)
        return self.ledger[key]

    def decide(self, id_: str, data: bytes) -> Decision:
        """Return what a transaction that is not settled yet comes to; change nothing."""
        if id_ in self._ids:
            return Decision("idempotency_conflict", {})
        try:
            activities = check_body(data).activities
        except (InvalidJSON, InvalidSchema):
            return Decision("invalid_schema", {})
        named = {activity.table for activity in activities}
        if len(named) > MAX_TABLES:
            return Decision("too_large", {})
        tables = {name: self.tables[name].copy() for name in named if name in self.tables}
        try:
            for activity in activities:
                _apply(activity, tables)
        except _Refused as refused:
            return Decision(str(refused), {})
        if any(map(self._poisoned, activities)):
            return Decision("warehouse_rejected", {})
        return Decision(None, tables)

    def settle(self, key: tuple[str, str], decision: Decision) -> None:
        """Enter a decision into the ledger and the tables."""
        self._ids.add(key[0])
        self.ledger[key] = decision.reason
        self.tables |= decision.tables
