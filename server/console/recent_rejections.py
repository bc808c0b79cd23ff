"""The last transactions that workers rejected, from the ledger."""

from datetime import datetime
from functools import cached_property
from typing import Any, Final

from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud import bigquery

from ops.runtime import clients
from ops.runtime.bigquery import UNREACHABLE, query
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE

ROWS: Final = 20
DAYS: Final = 7
"""How far back the console reads: a day's partition is the least that BigQuery reads."""

TIMEOUT_SECONDS: Final = 5.0
"""A server that stops waits for a query in progress to end."""

_MAX_BYTES_BILLED = 2_000_000_000  # about a cent; BigQuery refuses a query that would cost more

_SQL = (
    "SELECT id, reason, error, source, settled_at "  # noqa: S608  # constants alone
    f"FROM {LEDGER_TABLE} WHERE state = 'rejected' "
    f"AND settled_at > TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL {DAYS} DAY) "
    f"ORDER BY settled_at DESC, id LIMIT {ROWS}"
)


class RecentRejections:
    """Reads the ledger with one client, which is made for the first query."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _client(self) -> bigquery.Client:
        return clients.warehouse(self._settings)

    def read(self) -> list[dict[str, str | None]]:
        """Return the last rejected transactions, the latest first; `settled_at` is RFC 3339.

        Raises LookupError, ConnectionError, or what Google's libraries raise.
        """
        try:
            rows = query(
                self._client,
                _SQL,
                timeout=TIMEOUT_SECONDS,
                default_dataset=self._settings.dataset_path,
                maximum_bytes_billed=_MAX_BYTES_BILLED,
            )
            return [{name: _text(value) for name, value in row.items()} for row in rows]
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


def _text(value: Any) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return None if value is None else str(value)
