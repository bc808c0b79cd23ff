"""The effect of transactions, one by one, on plain lists of rows.

Written from the stated semantics alone: it shares nothing with `workers`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple, Self

from schema import Activity, ColumnType, ColumnValues, InvalidJSON, InvalidSchema, check_body

MAX_TABLES = 98
"""Of one transaction; BigQuery has 100, two of which are the lane's head and its ledger."""

type ModelRow = dict[str, str | None]

type Columns = Mapping[str, ColumnType]
"""Columns by lower-case name."""


class _Rejected(Exception):
    """The text is the reason."""


class Table:
    """Columns by lower-case name, and rows. A row is never changed, only replaced."""

    def __init__(self) -> None:
        self.columns: dict[str, ColumnType] = {}
        self.rows: list[ModelRow] = []

    def copy(self) -> Self:
        """Return a table that can be changed without changing this one."""
        other = type(self)()
        other.columns, other.rows = dict(self.columns), list(self.rows)
        return other

    def adopt(self, columns: Columns) -> None:
        """Add the columns that the table does not have."""
        for name, declared in columns.items():
            self.columns.setdefault(name, declared)

    def counted(self) -> Counter[tuple[str | None, ...]]:
        """Return the rows as a multiset, their values in the order of the sorted column names."""
        names = sorted(self.columns)
        return Counter(tuple(row.get(name) for name in names) for row in self.rows)


def _fits(declared: ColumnType, column: ColumnType) -> bool:
    if declared.base != column.base:
        return False
    if column.precision is None or declared.precision is None:
        return True
    scale, column_scale = declared.scale or 0, column.scale or 0
    return scale <= column_scale and declared.precision - scale <= column.precision - column_scale


def _given(columns: ColumnValues, table: Table, *, adds: bool) -> ModelRow:
    """Return the values by lower-case name, and add columns that the table lacks, if it `adds`."""
    given: ModelRow = {}
    for name, declared, value in zip(*columns, strict=True):
        key = name.lower()
        if key not in table.columns:
            if not adds:
                raise _Rejected("column_missing")
            table.columns[key] = declared
        elif not _fits(declared, table.columns[key]):
            raise _Rejected("type_conflict")
        given[key] = value
    return given


def _matches(row: ModelRow, key: ModelRow) -> bool:
    if None in key.values():
        return all(row.get(name) == value for name, value in key.items())
    # A row without the column has NULL there, which is no value; so in one step.
    return key.items() <= row.items()


def _apply(activity: Activity, tables: dict[str, Table]) -> None:
    operation = activity.operation
    if activity.has_open_key:  # no table has a contract here
        raise _Rejected("contract")
    if activity.table not in tables:
        if operation in {"delete", "update"}:
            raise _Rejected("table_missing")
        tables[activity.table] = Table()
    table = tables[activity.table]
    key = _given(activity.match, table, adds=operation == "upsert") if activity.match else {}
    columns = ColumnValues(activity.names, activity.types, activity.values)
    given = _given(columns, table, adds=operation != "delete")
    if operation == "delete":
        table.rows = [row for row in table.rows if not _matches(row, given)]
    elif operation == "insert":
        table.rows.append(given)
    elif operation == "update" or any(_matches(row, key) for row in table.rows):
        table.rows = [row | given if _matches(row, key) else row for row in table.rows]
    else:
        table.rows.append(given)


class ModelDecision(NamedTuple):
    """The outcome of one transaction: why it is rejected, or the tables that it changes."""

    reason: str | None
    tables: dict[str, Table]


class Model:
    """Tables and the ledger; `warehouse_rejects` decides which activities BigQuery refuses.

    `ledger` is by (id, SHA-256 of the body): the reason of a rejection, None for an applied one.
    """

    def __init__(self, warehouse_rejects: Callable[[Activity], bool] = lambda _: False) -> None:
        self.tables: dict[str, Table] = {}
        self.ledger: dict[tuple[str, str], str | None] = {}
        self._ids: set[str] = set()
        self._warehouse_rejects = warehouse_rejects

    def apply(self, id_: str, data: bytes) -> str | None:
        """Apply a transaction; return the reason of its rejection, None when it is applied."""
        key = id_, sha256(data).hexdigest()
        if key not in self.ledger:
            self.settle(key, self.decide(id_, data))
        return self.ledger[key]

    def decide(
        self, id_: str, data: bytes, left_behind: Mapping[str, Columns] = MappingProxyType({})
    ) -> ModelDecision:
        """Return the outcome of a transaction that is not settled yet; change nothing.

        `left_behind` has empty tables and columns that earlier transactions left behind.
        """
        if id_ in self._ids:
            return ModelDecision("idempotency_conflict", {})
        try:
            activities = check_body(data).activities
        except (InvalidJSON, InvalidSchema):
            return ModelDecision("invalid_schema", {})
        names = {activity.table for activity in activities}
        if len(names) > MAX_TABLES:
            return ModelDecision("too_large", {})
        tables = {name: self.tables[name].copy() for name in names if name in self.tables}
        for name in names & left_behind.keys():
            tables.setdefault(name, Table()).adopt(left_behind[name])
        try:
            for activity in activities:
                _apply(activity, tables)
        except _Rejected as rejected:
            return ModelDecision(str(rejected), {})
        if any(map(self._warehouse_rejects, activities)):
            return ModelDecision("warehouse_rejected", {})
        return ModelDecision(None, tables)

    def settle(self, key: tuple[str, str], decision: ModelDecision) -> None:
        """Enter a decision into the ledger and the tables."""
        self._ids.add(key[0])
        self.ledger[key] = decision.reason
        self.tables |= decision.tables
