"""Reads `gatekeeper_rejected`: the open rejections and their number, and those of one id."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud import bigquery

from ops.rejections.rejection_ledger import LAST_OF_A_BODY
from ops.runtime import clients
from ops.runtime.bigquery import UNREACHABLE, query
from ops.runtime.settings import Settings
from schema import REJECTED_TABLE, lane_of_id, rejected_table

ROWS: Final = 20
DAYS: Final = 7
"""How far back the console reads: a day's partition is the least that BigQuery reads."""

LARGEST: Final = 10
"""Tables with a count of their own."""

TIMEOUT_SECONDS: Final = 5.0
"""A server that stops waits for a query in progress to end."""

_MAX_BYTES_BILLED = 2_000_000_000  # about a cent; BigQuery refuses a query that would cost more
_MAX_ROWS = 500
_MAX_ROWS_OF_ID = 20

# One read of the tables has both: the latest, and the number of each reason and tables, of which
# the newest _MAX_ROWS are answered.
_SUMMARY = (
    "SELECT id, reason, error, source, tables, settled_at, "  # noqa: S608  # constants alone
    "COUNT(*) OVER (PARTITION BY reason, tables) AS number, "
    "ROW_NUMBER() OVER (PARTITION BY reason, tables ORDER BY settled_at DESC, id) AS place "
    "FROM (SELECT id, reason, error, source, tables, settled_at "
    f"FROM {REJECTED_TABLE} WHERE resolution IS NULL "
    f"AND settled_at > TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL {DAYS} DAY) "
    f"QUALIFY {LAST_OF_A_BODY}) "
    f"WHERE TRUE QUALIFY place <= {ROWS} "
    f"ORDER BY place = 1 DESC, settled_at DESC, id LIMIT {_MAX_ROWS}"
)
_OF_ID = (
    "SELECT id, reason, error, source, tables, received_at, settled_at, worker, body_bytes, "  # noqa: S608  # our own names
    "resolution, resolved_at FROM {table} WHERE id = @id "
    f"ORDER BY settled_at DESC LIMIT {_MAX_ROWS_OF_ID}"
)

type Row = dict[str, Any]
"""A row by column; times are RFC 3339."""


class RejectedReader:
    """Reads with one client, which is made for the first query.

    Both methods block, and raise LookupError, ConnectionError, or what Google's libraries raise.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _client(self) -> bigquery.Client:
        return clients.warehouse(self._settings)

    def summary(self) -> dict[str, Any]:
        """Return the open rejections of the last DAYS: see `summarize`."""
        return summarize(self._query(_SUMMARY))

    def of_id(self, id_: str) -> list[Row]:
        """Return all rejections of an id that are kept, the last first."""
        # The view reads every lane's table, and BigQuery bills at least 10 MB for each.
        lane = lane_of_id(id_, self._settings.lanes)
        table = REJECTED_TABLE if lane is None else rejected_table(lane)
        return self._query(_OF_ID.format(table=table), id=id_)

    def _query(self, sql: str, **parameters: str) -> list[Row]:
        try:
            rows = query(
                self._client,
                sql,
                timeout=TIMEOUT_SECONDS,
                parameters=parameters,
                default_dataset=self._settings.dataset_path,
                maximum_bytes_billed=_MAX_BYTES_BILLED,
            )
            return [{name: _plain(value) for name, value in row.items()} for row in rows]
        except NotFound as error:
            why = "the ledger does not exist: `gatekeeper provision` makes it"
            raise LookupError(why) from error
        except GoogleAPICallError as error:
            raise LookupError(f"BigQuery: {error.message}") from error
        except UNREACHABLE as error:
            raise ConnectionError("BigQuery does not answer") from error

    def close(self) -> None:
        if "_client" in vars(self):
            self._client.close()


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the last ROWS of the summary's rows, and counts by reason and by table. Pure.

    The counts are `[name, number]`, the largest first; a transaction of several tables counts for
    each. Of tables the LARGEST are named; `other_tables` is the sum of the others.
    """
    reasons: Counter[str] = Counter()
    tables: Counter[str] = Counter()
    for row in rows:
        if row["place"] == 1:
            reasons[row["reason"]] += row["number"]
            for table in filter(None, (row["tables"] or "").split(",")):
                tables[table] += row["number"]
    named = tables.most_common(LARGEST)
    latest = sorted(rows, key=lambda row: (row["settled_at"], row["id"]), reverse=True)[:ROWS]
    counted = ("number", "place")
    return {
        "days": DAYS,
        "latest": [{key: each[key] for key in each if key not in counted} for each in latest],
        "reasons": reasons.most_common(),
        "tables": named,
        "other_tables": tables.total() - sum(number for _, number in named),
    }
