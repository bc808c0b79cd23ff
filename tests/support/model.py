"""What the transactions must come to, one by one, on plain lists of rows.

Written from the stated semantics alone: it shares nothing with `workers`.
"""

import copy
from collections import Counter
from collections.abc import Callable
from hashlib import sha256

from schema import Activity, ColumnType, InvalidJSON, InvalidSchema, check_body

type Row = dict[str, str | None]


class _Refused(Exception):
    """The text is the reason."""


class Table:
    """Columns by lower-case name, and rows."""

    def __init__(self) -> None:
        self.columns: dict[str, ColumnType] = {}
        self.rows: list[Row] = []

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
    else:
        table.rows = [
            row
            for row in table.rows
            if not all(row.get(name) == value for name, value in given.items())
        ]


class Model:
    """Tables and the ledger; `poisoned` says which activities the warehouse itself refuses."""

    def __init__(self, poisoned: Callable[[Activity], bool] = lambda _: False) -> None:
        self.tables: dict[str, Table] = {}
        self.ledger: dict[tuple[str, str], str | None] = {}
        self._poisoned = poisoned

    def apply(self, id_: str, data: bytes) -> str | None:
        """Apply a transaction; return the reason of its rejection, None when it is applied."""
        key = id_, sha256(data).hexdigest()
        if key not in self.ledger:
            known = any(known == id_ for known, _ in self.ledger)
            self.ledger[key] = "idempotency_conflict" if known else self._outcome(data)
        return self.ledger[key]

    def _outcome(self, data: bytes) -> str | None:
        try:
            activities = check_body(data).activities
        except (InvalidJSON, InvalidSchema):
            return "invalid_schema"
        tables = copy.deepcopy(self.tables)
        try:
            for activity in activities:
                _apply(activity, tables)
        except _Refused as refused:
            return str(refused)
        if any(map(self._poisoned, activities)):
            return "warehouse_rejected"
        self.tables = tables
        return None
