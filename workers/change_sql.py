"""The statements that change a table: one for each phase where the deletes have one key. Pure.

A phase with keys that no row may have starts with a query that fails where a row has one.

A statement's text depends on its table and columns alone, but for the numbers of its parameters,
which follow its place in the script.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from ops.runtime.warehouse_errors import DUPLICATE_TEXT
from workers import row_expansion as expand
from workers import source_rows
from workers.source_rows import SourceRows
from workers.table_change import KeyChecks, Row, RowSet, TableChange, TableUpdate

MAX_DUPLICATES = 500
"""Places in one error; the other duplicates are found when the script is run without these."""
_ORDERS: dict[str, Any] = {
    "BIGNUMERIC": Decimal,
    "DATE": str,
    "DATETIME": str,
    "INT64": int,
    "NUMERIC": Decimal,
    "STRING": str,
    "TIMESTAMP": str,
}
"""Types whose constants bound a column, and what orders their canonical texts as BigQuery does:
dates and times sort as texts, and strings by code points. These partition or cluster tables:
https://cloud.google.com/bigquery/docs/partitioned-tables,
https://cloud.google.com/bigquery/docs/clustered-tables#cluster_column_types."""


class TableLayout(NamedTuple):
    """What a statement needs of its table, besides the batch's own columns.

    `defaults` has the expressions of columns with a default, by name without case. `pruned_by` has
    the columns that BigQuery partitions or clusters the table by, without case.
    """

    defaults: Mapping[str, str] = {}
    pruned_by: Sequence[str] = ()


class ChangeWriter:
    """Gathers statements and their parameters; `dataset` is `project.dataset`."""

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset
        self.parameters: dict[str, str] = {}
        self.statements: list[str] = []
        self._written: set[str] = set()
        """Tables that have statements."""

    def table(self, name: str) -> str:
        return f"`{self._dataset}.{name}`"

    def write(self, change: TableChange, layout: TableLayout) -> None:
        """Write one statement where the deletes have one key, else one more for each other key."""
        if change.checks:
            self._check(change.table, change.checks, layout)
        self._written.add(change.table)
        deletes = list(change.deletes)
        merged: RowSet | None = None
        if change.update:
            merged = next((e for e in deletes if e.columns == change.update.key), None)
        elif change.inserts and deletes:
            merged = deletes[-1]
        for keys in deletes:
            if keys is not merged:
                self._delete(change.table, keys, layout)
        if change.update or merged:
            self._merge(change, merged, layout)
        elif change.inserts:
            self._insert(change.table, SourceRows(None, change.inserts, layout.defaults))

    def _parameter(self, rows: object) -> str:
        name = f"rows_{len(self.parameters)}"
        self.parameters[name] = expand.as_json(rows)
        return name

    def _check(self, table: str, checks: KeyChecks, layout: TableLayout) -> None:
        """Fail if rows have keys to be inserted.

        IF evaluates ERROR only where it is needed:
        https://cloud.google.com/bigquery/docs/reference/standard-sql/debugging_functions#error
        """
        keys, phase = checks.keys, "later" if table in self._written else "first"
        columns = [*expand.key_columns(keys.types), f"{expand.value(len(keys.types))} AS place"]
        rows = [[*key, str(place)] for key, place in zip(keys.rows, checks.places, strict=True)]
        parameter = self._parameter(rows)
        source = f"SELECT {', '.join(columns)} FROM {expand.source(parameter)}"
        conditions = [expand.condition(keys), *self._bounds(parameter, keys, layout.pruned_by)]
        found = (
            f"SELECT DISTINCT s.place FROM {self.table(table)} AS t JOIN ({source}) AS s "
            f"ON {' AND '.join(conditions)} LIMIT {MAX_DUPLICATES}"
        )
        self.statements.append(
            "SELECT IF(places IS NULL, '', "
            f"ERROR(CONCAT('{DUPLICATE_TEXT} {phase} ', places, ','))) "
            f"FROM (SELECT STRING_AGG(place) AS places FROM ({found}));"
        )

    def _delete(self, table: str, keys: RowSet, layout: TableLayout) -> None:
        columns = ", ".join(expand.key_columns(keys.types))
        parameter = self._parameter(keys.rows)
        rows = f"SELECT {columns} FROM {expand.source(parameter)}"
        matched = f"EXISTS (SELECT 1 FROM ({rows}) AS s WHERE {expand.condition(keys)})"
        conditions = [matched, *self._bounds(parameter, keys, layout.pruned_by)]
        self.statements.append(
            f"DELETE FROM {self.table(table)} AS t WHERE {' AND '.join(conditions)};"
        )

    def _insert(self, table: str, rows: SourceRows) -> None:
        names, values = rows.new_row()
        source = expand.source(self._parameter(list(rows.rows())))
        self.statements.append(
            f"INSERT INTO {self.table(table)} ({expand.quoted(names)}) SELECT {', '.join(values)} "
            f"FROM (SELECT {', '.join(rows.select())} FROM {source}) AS s;"
        )

    def _merge(self, change: TableChange, deletes: RowSet | None, layout: TableLayout) -> None:
        """Delete, update and insert in one statement, which bills the table once."""
        keys = _keys(change.update, deletes)
        rows = SourceRows(change.update, change.inserts, layout.defaults, keys.columns)
        listed = [[source_rows.DELETE, *key] for key in deletes.rows] if deletes else []
        parameter = self._parameter([*listed, *rows.rows()])
        select = [f"{expand.value(0)} AS kind", *expand.key_columns(keys.types, 1), *rows.select()]
        conditions = [f"s.kind != '{source_rows.INSERT}'"] if change.inserts else []
        conditions += [expand.condition(keys), *self._bounds(parameter, keys, layout.pruned_by)]
        self.statements.append(
            f"MERGE INTO {self.table(change.table)} AS t USING "
            f"(SELECT {', '.join(select)} FROM {expand.source(parameter)}) AS s "
            f"ON {' AND '.join(conditions)}"
            f"{_clauses(rows, deletes=bool(deletes))};"
        )

    def _bounds(self, parameter: str, keys: RowSet, pruned_by: Sequence[str]) -> list[str]:
        """Bound columns by constants: BigQuery then reads the keys' partitions and blocks only.

        https://cloud.google.com/bigquery/docs/using-dml-with-partitioned-tables#prune_merge
        https://cloud.google.com/bigquery/docs/querying-clustered-tables
        """
        places = [place for place, column in enumerate(keys.columns) if column in pruned_by]
        return [bound for place in places for bound in self._bound(parameter, keys, place)]

    def _bound(self, parameter: str, keys: RowSet, place: int) -> list[str]:
        texts = [text for row in keys.rows if (text := row[place]) is not None]
        base = keys.types[place].base
        if base not in _ORDERS or len(texts) < len(keys.rows):
            return []
        low, high = f"low_{parameter}_{place}", f"high_{parameter}_{place}"
        order = _ORDERS[base]
        self.parameters |= {low: min(texts, key=order), high: max(texts, key=order)}
        ends = f"{expand.typed(f'@{low}', base)} AND {expand.typed(f'@{high}', base)}"
        return [f"t.`{keys.names[place]}` BETWEEN {ends}"]


def _keys(update: TableUpdate | None, deletes: RowSet | None) -> RowSet:
    """Return every key of a MERGE that a row of the table may match."""
    rows: list[Row] = [*deletes.rows] if deletes else []
    if update is None:
        assert deletes  # noqa: S101  # a MERGE has one of them
        return deletes
    named = [update.columns[column] for column in update.key]
    rows += (each.key for each in update.rows)
    return RowSet(tuple(name for name, _ in named), tuple(each for _, each in named), rows)


def _clauses(rows: SourceRows, *, deletes: bool) -> str:
    found = []
    if deletes:
        found.append(f"MATCHED AND s.kind = '{source_rows.DELETE}' THEN DELETE")
    if assignments := rows.assignments():
        kind = f" AND s.kind != '{source_rows.DELETE}'" if deletes else ""
        found.append(f"MATCHED{kind} THEN UPDATE SET {', '.join(assignments)}")
    if rows.brings_rows:
        names, values = rows.new_row()
        kinds = f"'{source_rows.UPSERT}', '{source_rows.INSERT}'"
        found.append(
            f"NOT MATCHED AND s.kind IN ({kinds}) THEN INSERT ({expand.quoted(names)}) "
            f"VALUES ({', '.join(values)})"
        )
    return "".join(f" WHEN {each}" for each in found)
