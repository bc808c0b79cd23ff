"""The SQL of a lane's batch: one script, one transaction; values only ever travel as parameters.

Identifiers come from the rule's own pattern and are quoted. Pure.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ops.runtime.warehouse_errors import FENCED_TEXT
from schema import (
    LEDGER_COLUMNS,
    REJECTED_COLUMNS,
    RESUMES_TABLE,
    ColumnType,
    LedgerColumn,
    head_table,
    ledger_table,
    rejected_table,
)
from workers import row_expansion as expand
from workers.change_sql import ChangeWriter, TableLayout
from workers.table_change import TableChange

MAX_SQL_CHARACTERS = 1_000_000
"""Of one query, https://cloud.google.com/bigquery/quotas#query_jobs: 1 MB unresolved."""
MAX_REQUEST_BYTES = 9_500_000
"""Of one query with its parameters, as sent: 10 MB is the quota for the whole request."""

_SMALL_TEXT = 10_000
_PLACE = re.compile(r" at \[(\d{1,6}):\d+\]$")


ROW_COLUMNS = tuple(column for column in LEDGER_COLUMNS if column.name != "settled_at")
"""A ledger row's columns, in the order of `workers.dedupe.ledger_row`."""
REJECTED_ROW_COLUMNS = tuple(
    column
    for column in REJECTED_COLUMNS
    if column.name not in {"settled_at", "resolution", "resolved_at"}
)
"""A rejected row's columns, in the order of `workers.rejected_row.rejected_row`."""


class LaneSettlement(NamedTuple):
    """What a script settles: the lane and its epoch, the new ids, the ledger's rows.

    `rejected` has a row with the body for each rejected one of `rows`.

    No transaction of `ids` can have been settled before `since`, a timestamp's text. The heads of
    `locks`, other lanes, are changed too, so that BigQuery runs no other script with one of them
    at the same time.
    """

    lane: int
    epoch: int
    since: str
    ids: Sequence[str]
    rows: Sequence[Sequence[str | None]]
    locks: Sequence[int] = ()
    rejected: Sequence[Sequence[str | None]] = ()


class Script(NamedTuple):
    """A script and its parameters, each a STRING; `statements` counts the data statements.

    `changes` and `settlement` are what it was written from.
    """

    sql: str
    parameters: dict[str, str]
    statements: int
    changes: Sequence[TableChange]
    settlement: LaneSettlement

    def table_of(self, error: str) -> str | None:
        """Return the table whose change failed with an error; None where it names no statement.

        The error of a script ends with the statement's line and column; a statement is a line.
        """
        if not (place := _PLACE.search(error)):
            return None
        lines, number = self.sql.split("\n"), int(place[1])
        line = lines[number - 1] if number <= len(lines) else ""
        return next((each.table for each in self.changes if f".{each.table}`" in line), None)

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


def _guard(builder: ChangeWriter, settlement: LaneSettlement) -> str:
    """Fence and guard in one statement: it changes the lane's one row, or the script fails.

    BigQuery cancels one of two transactions that change a row of one table at the same time. The
    row is not changed when another worker has committed in this lane since the epoch was read, or
    when the ledger holds one of the ids.
    """
    builder.parameters |= {
        "epoch": str(settlement.epoch),
        "since": settlement.since,
        "ids": expand.as_json(settlement.ids),
    }
    return (
        f"UPDATE {builder.table(head_table(settlement.lane))} SET epoch = epoch + 1 "
        "WHERE epoch = CAST(@epoch AS INT64) AND NOT EXISTS ("
        f"SELECT 1 FROM {builder.table(ledger_table(settlement.lane))} "
        "WHERE settled_at >= CAST(@since AS TIMESTAMP) "
        "AND id IN UNNEST(JSON_VALUE_ARRAY(@ids)));\n"
        f"ASSERT @@row_count = 1 AS '{FENCED_TEXT}';"
    )


def _lock(builder: ChangeWriter, lane: int) -> str:
    return f"UPDATE {builder.table(head_table(lane))} SET epoch = epoch WHERE TRUE;"


def _settled_inserts(builder: ChangeWriter, settlement: LaneSettlement) -> list[str]:
    """Write the INSERTs of what is settled. BigQuery bills each table, so none has no rows."""
    lane, rows, rejected = settlement.lane, settlement.rows, settlement.rejected
    into = [(rejected_table(lane), REJECTED_ROW_COLUMNS, "rejected", rejected)] if rejected else []
    into.append((ledger_table(lane), ROW_COLUMNS, "ledger", rows))
    return [_settled_insert(builder, *each) for each in into]


def _settled_insert(
    builder: ChangeWriter,
    table: str,
    columns: Sequence[LedgerColumn],
    parameter: str,
    rows: Sequence[Sequence[str | None]],
) -> str:
    builder.parameters[parameter] = expand.as_json(rows)
    values = ", ".join(expand.typed(expand.value(i), each.type) for i, each in enumerate(columns))
    return (
        f"INSERT INTO {builder.table(table)} "
        f"({expand.quoted(each.name for each in columns)}, `settled_at`) "
        f"SELECT {values}, CURRENT_TIMESTAMP() FROM {expand.source(parameter)};"
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
    builder = ChangeWriter(dataset)
    for change in changes:
        builder.write(change, (layouts or {}).get(change.table, TableLayout()))
    count = len(builder.statements)
    statements = [
        "BEGIN TRANSACTION;",
        _guard(builder, settlement),
        *[_lock(builder, lane) for lane in settlement.locks],
        *builder.statements,
        *_settled_inserts(builder, settlement),
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
    return text, {"ids": expand.as_json(ids), "since": since}


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
