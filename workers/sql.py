"""The SQL of a lane's batch: one script, one transaction; values only ever travel as parameters.

Each set of rows is one STRING parameter, a JSON array of arrays of texts. A row is taken apart by
one JSON_VALUE_ARRAY and cast column by column, which is five times cheaper at 200 columns than a
JSON_VALUE for each. Identifiers come from the rule's own pattern and are quoted. Pure.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from schema import LEDGER_COLUMNS, RESUMES_TABLE, ColumnType, head_table, ledger_table
from workers.fold import RowSet, TableChange

MAX_SQL_CHARACTERS = 1_000_000
"""Of one query, https://cloud.google.com/bigquery/quotas#query_jobs: 1 MB unresolved."""
MAX_REQUEST_BYTES = 9_500_000
"""Of one query with its parameters, as sent: 10 MB is the quota for the whole request."""

_SMALL_TEXT = 10_000
_PARTITIONED = {"DATE", "DATETIME", "INT64", "TIMESTAMP"}
"""https://cloud.google.com/bigquery/docs/partitioned-tables: types of a partitioning column."""

FENCED_TEXT = "gatekeeper: fenced"

ROW_COLUMNS = tuple(column for column in LEDGER_COLUMNS if column.name != "settled_at")
"""A ledger row's columns, in the order of `workers.dedupe.ledger_row`."""


class LaneSettlement(NamedTuple):
    """What a script settles: the lane and its epoch, the new ids, the ledger's rows.

    No transaction of `ids` can have been settled before `since`, a timestamp's text.
    """

    lane: int
    epoch: int
    since: str
    ids: Sequence[str]
    rows: Sequence[Sequence[str | None]]


class TableLayout(NamedTuple):
    """What a statement needs of its table, besides the batch's own columns.

    `defaults` has the expressions of columns with a default, by name without case. `partitioned_by`
    is a column's name without case, or empty.
    """

    defaults: Mapping[str, str] = {}
    partitioned_by: str = ""


class Script(NamedTuple):
    """A script and its parameters, each a STRING; `statements` counts the data statements.

    `changes` and `settlement` are what it was written from.
    """

    sql: str
    parameters: dict[str, str]
    statements: int
    changes: Sequence[TableChange]
    settlement: LaneSettlement

    @property
    def request_bytes(self) -> int:
        """Size as the client sends it: parameters are JSON strings with ASCII escapes."""
        return len(self.sql) + sum(_sent_bytes(text) for text in self.parameters.values())

    @property
    def excess(self) -> float:
        """How many times larger the script is than BigQuery's limits; at most 1 fits."""
        return max(len(self.sql) / MAX_SQL_CHARACTERS, self.request_bytes / MAX_REQUEST_BYTES)


def _sent_bytes(text: str) -> int:
    # json.dumps of megabytes takes milliseconds, and a small text does not matter.
    return len(text) if len(text) < _SMALL_TEXT else len(json.dumps(text))


def _json(rows: object) -> str:
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def _typed(text: str, base: str) -> str:
    """Return the SQL that reads a canonical text as its type."""
    if base == "STRING":
        return text
    if base == "JSON":
        # 'exact' refuses decimals whose binary form needs more digits than their shortest text; the
        # rule has refused what would be rounded.
        # https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#parse_json
        return f"PARSE_JSON({text}, wide_number_mode=>'round')"
    if base == "BYTES":
        return f"FROM_BASE64({text})"
    return f"CAST({text} AS {base})"


def _value(place: int) -> str:
    return f"v[SAFE_OFFSET({place})]"


def _source(parameter: str) -> str:
    return f"(SELECT JSON_VALUE_ARRAY(r) AS v FROM UNNEST(JSON_QUERY_ARRAY(@{parameter})) AS r)"


def _key_columns(keys: RowSet) -> list[str]:
    return [f"{_typed(_value(i), each.base)} AS k{i}" for i, each in enumerate(keys.types)]


# Replaces NULL on both sides of a comparison; a second condition keeps the two apart.
_NULL_REPLACEMENT = {
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

    Always an equality of both sides: BigQuery makes a join of it, which it refuses for
    IS NOT DISTINCT FROM and for an OR.
    """
    own, key = f"t.`{name}`", f"s.k{index}"
    own_value, key_value = own, key
    if base == "JSON":  # which cannot be compared itself
        own_value, key_value = f"TO_JSON_STRING({own})", f"TO_JSON_STRING({key})"
    if not nullable:
        return f"{own_value} = {key_value}"
    stand = _NULL_REPLACEMENT[base]
    return (
        f"({own} IS NULL) = ({key} IS NULL) "
        f"AND IFNULL({own_value}, {stand}) = IFNULL({key_value}, {stand})"
    )


def _condition(keys: RowSet) -> str:
    return " AND ".join(
        _matches(i, name, keys.types[i].base, nullable=any(row[i] is None for row in keys.rows))
        for i, name in enumerate(keys.names)
    )


class _Union(NamedTuple):
    """Rows of several column sets as rows of one: a column that a row leaves out is NULL.

    Where the table has a default for such a column, one more element of the row is "1" when the row
    leaves it out, and `expressions` uses the default then, as an INSERT without the column would.
    """

    names: list[str]
    expressions: list[str]
    rows: list[list[str | None]]


def _union(row_sets: Sequence[RowSet], defaults: Mapping[str, str]) -> _Union:
    places: dict[str, int] = {}
    names: list[str] = []
    bases: list[str] = []
    for row_set in row_sets:
        for name, declared in zip(row_set.names, row_set.types, strict=True):
            if places.setdefault(name.casefold(), len(names)) == len(names):
                names.append(name)
                bases.append(declared.base)
    own = [{name.casefold() for name in row_set.names} for row_set in row_sets]
    flagged = [
        name for name in places if name in defaults and not all(name in each for each in own)
    ]
    flags = {name: len(names) + i for i, name in enumerate(flagged)}
    expressions = [_typed(_value(i), base) for i, base in enumerate(bases)]
    for name, flag in flags.items():
        place = places[name]
        expressions[place] = f"IF({_value(flag)} IS NULL, {expressions[place]}, {defaults[name]})"
    rows: list[list[str | None]] = []
    for row_set, present in zip(row_sets, own, strict=True):
        order = [places[name.casefold()] for name in row_set.names]
        absent = [flag for name, flag in flags.items() if name not in present]
        rows += (_spread(row, order, absent, len(names) + len(flags)) for row in row_set.rows)
    return _Union(names, expressions, rows)


def _spread(
    row: Sequence[str | None], order: Sequence[int], absent: Sequence[int], width: int
) -> list[str | None]:
    wide: list[str | None] = [None] * width
    for place, value in zip(order, row, strict=True):
        wide[place] = value
    for place in absent:
        wide[place] = "1"
    return wide


class _Builder:
    """Gathers statements and their parameters."""

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset
        self.parameters: dict[str, str] = {}
        self.statements: list[str] = []

    def table(self, name: str) -> str:
        return f"`{self._dataset}.{name}`"

    def parameter(self, rows: object) -> str:
        name = f"rows_{len(self.parameters)}"
        self.parameters[name] = _json(rows)
        return name

    def change(self, change: TableChange, layout: TableLayout) -> None:
        """Write one statement where the deletes have one key, else one more for each other key."""
        merged = bool(change.deletes and change.inserts)
        for keys in change.deletes[:-1] if merged else change.deletes:
            self._delete(change.table, keys, layout)
        if merged:
            rows = _union(change.inserts, layout.defaults)
            self._merge(change.table, change.deletes[-1], rows, layout)
        elif change.inserts:
            self._insert(change.table, _union(change.inserts, layout.defaults))

    def _bounds(self, keys: RowSet, partitioned_by: str) -> list[str]:
        """Bound the partition column by constants: BigQuery then reads the keys' partitions only.

        https://cloud.google.com/bigquery/docs/using-dml-with-partitioned-tables#prune_merge
        """
        names = [name.casefold() for name in keys.names]
        if partitioned_by not in names:
            return []
        place = names.index(partitioned_by)
        values = [row[place] for row in keys.rows]
        base = keys.types[place].base
        if base not in _PARTITIONED or None in values:
            return []
        texts = [value for value in values if value is not None]
        order = int if base == "INT64" else str  # canonical dates and times sort as texts
        number = len(self.parameters)
        self.parameters |= {
            f"low_{number}": min(texts, key=order),
            f"high_{number}": max(texts, key=order),
        }
        low, high = f"CAST(@low_{number} AS {base})", f"CAST(@high_{number} AS {base})"
        return [f"t.`{keys.names[place]}` BETWEEN {low} AND {high}"]

    def _delete(self, table: str, keys: RowSet, layout: TableLayout) -> None:
        rows = f"SELECT {', '.join(_key_columns(keys))} FROM {_source(self.parameter(keys.rows))}"
        matched = f"EXISTS (SELECT 1 FROM ({rows}) AS s WHERE {_condition(keys)})"
        conditions = [matched, *self._bounds(keys, layout.partitioned_by)]
        self.statements.append(
            f"DELETE FROM {self.table(table)} AS t WHERE {' AND '.join(conditions)};"
        )

    def _insert(self, table: str, rows: _Union) -> None:
        self.statements.append(
            f"INSERT INTO {self.table(table)} ({_quoted(rows.names)}) "
            f"SELECT {', '.join(rows.expressions)} FROM {_source(self.parameter(rows.rows))};"
        )

    def _merge(self, table: str, keys: RowSet, rows: _Union, layout: TableLayout) -> None:
        """Delete by keys and insert rows in one statement, which bills the table once."""
        c = range(len(rows.names))
        # The types of NULLs come from the other half of the union.
        gone = ", ".join([*_key_columns(keys), *(f"NULL AS c{i}" for i in c)])
        come = ", ".join([*("NULL" for _ in keys.names), *rows.expressions])
        deleted, inserted = _source(self.parameter(keys.rows)), _source(self.parameter(rows.rows))
        conditions = ["s.gone", _condition(keys), *self._bounds(keys, layout.partitioned_by)]
        self.statements.append(
            f"MERGE INTO {self.table(table)} AS t USING ("
            f"SELECT TRUE AS gone, {gone} FROM {deleted} "
            f"UNION ALL SELECT FALSE, {come} FROM {inserted}) AS s "
            f"ON {' AND '.join(conditions)} WHEN MATCHED THEN DELETE "
            f"WHEN NOT MATCHED AND NOT s.gone THEN INSERT ({_quoted(rows.names)}) "
            f"VALUES ({', '.join(f's.c{i}' for i in c)});"
        )


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _guard(builder: _Builder, settlement: LaneSettlement) -> str:
    """Fence and guard in one statement: it changes the lane's one row, or the script fails.

    BigQuery cancels one of two transactions that change a row of one table at the same time. The
    row is not changed when another worker has committed in this lane since the epoch was read, or
    when the ledger holds one of the ids.
    """
    builder.parameters |= {
        "epoch": str(settlement.epoch),
        "since": settlement.since,
        "ids": _json(settlement.ids),
    }
    return (
        f"UPDATE {builder.table(head_table(settlement.lane))} SET epoch = epoch + 1 "
        "WHERE epoch = CAST(@epoch AS INT64) AND NOT EXISTS ("
        f"SELECT 1 FROM {builder.table(ledger_table(settlement.lane))} "
        "WHERE settled_at >= CAST(@since AS TIMESTAMP) "
        "AND id IN UNNEST(JSON_VALUE_ARRAY(@ids)));\n"
        f"ASSERT @@row_count = 1 AS '{FENCED_TEXT}';"
    )


def _ledger_insert(builder: _Builder, settlement: LaneSettlement) -> str:
    builder.parameters["ledger"] = _json(settlement.rows)
    values = ", ".join(_typed(_value(i), each.type) for i, each in enumerate(ROW_COLUMNS))
    return (
        f"INSERT INTO {builder.table(ledger_table(settlement.lane))} "
        f"({_quoted(each.name for each in ROW_COLUMNS)}, `settled_at`) "
        f"SELECT {values}, CURRENT_TIMESTAMP() FROM {_source('ledger')};"
    )


def script(
    dataset: str,
    changes: Sequence[TableChange],
    settlement: LaneSettlement,
    layouts: Mapping[str, TableLayout] | None = None,
) -> Script:
    """Write the transaction that applies `changes` and settles their transactions in the ledger.

    It fails with FENCED_TEXT, and changes nothing, when another worker has committed in the lane or
    the ledger holds one of the ids. `dataset` is `project.dataset`.
    """
    builder = _Builder(dataset)
    for change in changes:
        builder.change(change, (layouts or {}).get(change.table, TableLayout()))
    count = len(builder.statements)
    statements = [
        "BEGIN TRANSACTION;",
        _guard(builder, settlement),
        *builder.statements,
        _ledger_insert(builder, settlement),
        "COMMIT TRANSACTION;",
    ]
    return Script("\n".join(statements), builder.parameters, count, changes, settlement)


def read_lane(
    dataset: str, lane: int, ids: Sequence[str], since: str
) -> tuple[str, dict[str, str]]:
    """Write the query for a lane's head and what its ledger holds of some ids, in one snapshot."""
    text = (
        "SELECT h.epoch, h.lanes, h.suspect, h.attempts, l.id, l.sha256, l.reason, l.error "
        f"FROM `{dataset}.{head_table(lane)}` AS h LEFT JOIN (SELECT id, sha256, reason, error "
        f"FROM `{dataset}.{ledger_table(lane)}` WHERE settled_at >= CAST(@since AS TIMESTAMP) "
        "AND id IN UNNEST(JSON_VALUE_ARRAY(@ids))) AS l ON TRUE"
    )
    return text, {"ids": _json(ids), "since": since}


def note_attempt(dataset: str, lane: int, epoch: int, id_: str) -> tuple[str, dict[str, str]]:
    """Write the script that counts an attempt at a transaction that did not finish, in the head."""
    text = (
        f"UPDATE `{dataset}.{head_table(lane)}` SET epoch = epoch + 1, "
        "attempts = IF(suspect = @id, attempts + 1, 1), suspect = @id "
        "WHERE epoch = CAST(@epoch AS INT64);\n"
        f"ASSERT @@row_count = 1 AS '{FENCED_TEXT}';"
    )
    return text, {"id": id_, "epoch": str(epoch)}


def count_resumes(dataset: str) -> str:
    """Write the query for how often `gatekeeper resume` was run; it reads no column, so bills 0."""
    return f"SELECT COUNT(*) AS resumes FROM `{dataset}.{RESUMES_TABLE}`"


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
