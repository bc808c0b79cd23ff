"""The SQL of a batch: one script, one transaction; values only ever travel as parameters.

Each set of rows is one STRING parameter, a JSON array of arrays of texts, expanded by
JSON_QUERY_ARRAY and cast column by column. Identifiers come from the rule's own pattern, and are
quoted; nothing else of a payload reaches the text. Pure.
"""

import json
import zlib
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from schema import LEDGER_TABLE, ColumnType
from workers.errors import SETTLED_TEXT
from workers.fold import RowSet, TableChange
from workers.ledger import LEDGER_SCHEMA

MAX_SQL_CHARACTERS = 1_000_000
"""Of one query, https://cloud.google.com/bigquery/quotas#query_jobs: 1 MB unresolved."""
MAX_REQUEST_BYTES = 9_000_000
"""Of one query with its parameters; the quota is 10 MB, the rest of the request needs some."""


class Script(NamedTuple):
    """A script and its parameters, each a STRING; `statements` counts the data statements."""

    sql: str
    parameters: dict[str, str]
    statements: int

    @property
    def too_large(self) -> bool:
        """Tell whether BigQuery would refuse its size."""
        size = len(self.sql) + sum(len(text.encode()) for text in self.parameters.values())
        return len(self.sql) > MAX_SQL_CHARACTERS or size > MAX_REQUEST_BYTES


def _typed(element: str, base: str) -> str:
    """Return the SQL that reads one column's text from a row as its type."""
    text = f"JSON_VALUE(r, '$[{element}]')"
    if base == "STRING":
        return text
    if base == "JSON":
        return f"PARSE_JSON({text})"  # exact: the rule admits only numbers that it can hold
    if base == "BYTES":
        return f"FROM_BASE64({text})"
    return f"CAST({text} AS {base})"


def _rows(bases: Sequence[str], parameter: str) -> str:
    columns = ", ".join(f"{_typed(str(i), base)} AS c{i}" for i, base in enumerate(bases))
    return f"SELECT {columns} FROM UNNEST(JSON_QUERY_ARRAY(@{parameter})) AS r"


# What stands for NULL on both sides of a comparison; a second condition tells the two apart.
_STAND_IN = {
    "BIGNUMERIC": "BIGNUMERIC '0'",
    "BOOL": "FALSE",
    "BYTES": "b''",
    "DATE": "DATE '0001-01-01'",
    "DATETIME": "DATETIME '0001-01-01 00:00:00'",
    "FLOAT64": "0e0",
    "INT64": "0",
    "JSON": "''",  # of its text: no JSON text is empty
    "NUMERIC": "NUMERIC '0'",
    "STRING": "''",
    "TIME": "TIME '00:00:00'",
    "TIMESTAMP": "TIMESTAMP '0001-01-01 00:00:00+00'",
}


def _matches(index: int, name: str, base: str, *, nullable: bool) -> str:
    """Compare a column with its key, NULL matching NULL.

    Always an equality of both sides: BigQuery makes a semi-join of it, which it refuses for
    IS NOT DISTINCT FROM and for an OR.
    """
    own, key = f"t.`{name}`", f"k.c{index}"
    own_value, key_value = own, key
    if base == "JSON":  # which has no equality of its own
        own_value, key_value = f"TO_JSON_STRING({own})", f"TO_JSON_STRING({key})"
    if not nullable:
        return f"{own_value} = {key_value}"
    stand_in = _STAND_IN[base]
    return (
        f"({own} IS NULL) = ({key} IS NULL) "
        f"AND IFNULL({own_value}, {stand_in}) = IFNULL({key_value}, {stand_in})"
    )


def _delete(table: str, keys: RowSet, parameter: str) -> str:
    bases = [declared.base for declared in keys.types]
    conditions = " AND ".join(
        _matches(i, name, bases[i], nullable=any(row[i] is None for row in keys.rows))
        for i, name in enumerate(keys.names)
    )
    return (
        f"DELETE FROM {table} AS t WHERE EXISTS "
        f"(SELECT 1 FROM ({_rows(bases, parameter)}) AS k WHERE {conditions});"
    )


def _insert(table: str, names: Iterable[str], bases: Sequence[str], parameter: str) -> str:
    columns = ", ".join(f"`{name}`" for name in names)
    return f"INSERT INTO {table} ({columns}) {_rows(bases, parameter)};"


def _ledger_insert(table: str) -> str:
    fields = [field for field in LEDGER_SCHEMA if field.name != "settled_at"]
    names = ", ".join(f"`{field.name}`" for field in fields)
    rows = _rows([field.field_type for field in fields], "ledger")
    return (
        f"INSERT INTO {table} ({names}, `settled_at`) SELECT *, CURRENT_TIMESTAMP() FROM ({rows});"
    )


def _parameter(what: str, table: str, row_set: RowSet, taken: Container[str]) -> str:
    """Name a set of rows by what it is: so its statement has the same text in every batch.

    The local warehouse remembers what it has made of a text.
    """
    number = zlib.crc32(repr((table, row_set.names, row_set.types)).encode())
    while (name := f"{what}_{number:x}") in taken:
        number += 1
    return name


def _json(rows: object) -> str:
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


class Settlement(NamedTuple):
    """What a script writes to the ledger, and what it must not find there.

    `ids` are new: no row may have one. `conflicts` are ids that are known with another body, each
    as `id sha256`: no row may have that pair. `rows` are `workers.ledger.row`'s.
    """

    ids: Sequence[str]
    conflicts: Sequence[str]
    rows: Sequence[Sequence[str | None]]


def script(dataset: str, changes: Iterable[TableChange], settlement: Settlement) -> Script:
    """Write the transaction that applies `changes` and settles their transactions in the ledger.

    It fails with `SETTLED_TEXT`, and changes nothing, when the ledger already holds one of them.
    `dataset` is `project.dataset`.
    """
    ledger = f"`{dataset}.{LEDGER_TABLE}`"
    parameters = {"ids": _json(settlement.ids), "ledger": _json(settlement.rows)}
    deletes: list[str] = []
    inserts: list[str] = []
    for change in changes:
        table = f"`{dataset}.{change.table}`"
        for row_set in change.deletes:
            parameter = _parameter("deleted", change.table, row_set, parameters)
            deletes.append(_delete(table, row_set, parameter))
            parameters[parameter] = _json(row_set.rows)
        for row_set in change.inserts:
            parameter = _parameter("inserted", change.table, row_set, parameters)
            bases = [declared.base for declared in row_set.types]
            inserts.append(_insert(table, row_set.names, bases, parameter))
            parameters[parameter] = _json(row_set.rows)
    settled = "id IN UNNEST(JSON_VALUE_ARRAY(@ids))"
    if settlement.conflicts:  # only then: BigQuery charges for every column that a query names
        settled += " OR CONCAT(id, ' ', sha256) IN UNNEST(JSON_VALUE_ARRAY(@conflicts))"
        parameters["conflicts"] = _json(settlement.conflicts)
    guard = f"ASSERT NOT EXISTS (SELECT 1 FROM {ledger} WHERE {settled}) AS '{SETTLED_TEXT}';"
    statements = [
        "BEGIN TRANSACTION;",
        guard,
        *deletes,
        *inserts,
        _ledger_insert(ledger),
        "COMMIT TRANSACTION;",
    ]
    return Script("\n".join(statements), parameters, len(deletes) + len(inserts))


def look_up(dataset: str, ids: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Write the query for what the ledger holds of some ids, and its parameters."""
    sql = (
        f"SELECT id, sha256, reason, error FROM `{dataset}.{LEDGER_TABLE}` "
        "WHERE id IN UNNEST(JSON_VALUE_ARRAY(@ids))"
    )
    return sql, {"ids": _json(ids)}


def create_table(dataset: str, table: str, columns: Iterable[tuple[str, ColumnType]]) -> str:
    """Write the DDL for a missing table."""
    definitions = ", ".join(f"`{name}` {declared.bigquery}" for name, declared in columns)
    return f"CREATE TABLE IF NOT EXISTS `{dataset}.{table}` ({definitions})"


def add_columns(dataset: str, table: str, columns: Iterable[tuple[str, ColumnType]]) -> str:
    """Write the DDL for columns that a table lacks."""
    additions = ", ".join(
        f"ADD COLUMN IF NOT EXISTS `{name}` {declared.bigquery}" for name, declared in columns
    )
    return f"ALTER TABLE `{dataset}.{table}` {additions}"


def drop_unused(dataset: str, table: str, column: str | None) -> str:
    """Write the script that drops a table without rows, or a column without values."""
    name = f"`{dataset}.{table}`"
    if column is None:
        return f"IF NOT EXISTS (SELECT 1 FROM {name}) THEN DROP TABLE {name}; END IF;"
    return (
        f"IF NOT EXISTS (SELECT 1 FROM {name} WHERE `{column}` IS NOT NULL) "
        f"THEN ALTER TABLE {name} DROP COLUMN `{column}`; END IF;"
    )
