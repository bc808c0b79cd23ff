"""Reads the ledger: the rows of one id, through BigQuery's client, in threads of its own.

The client blocks. A few look-ups run at once; a few more wait; past that they are refused, and none
takes longer than LOOK_UP_SECONDS, so that a slow warehouse costs the other routes nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any, Final

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from requests.exceptions import RequestException

from ops.runtime import log
from schema import LEDGER_COLUMNS, LEDGER_TABLE

THREADS: Final = 4
WAITING: Final = 60
"""Look-ups that may wait for a thread."""

LOOK_UP_SECONDS: Final = 7.0
"""Each is one or two HTTP requests; with the drain of the connections this stays below
supervisord's stopwaitsecs."""

MAX_ROWS: Final = 100
"""Rows of one id: the transaction and its conflicts. More of those than anyone reads are cut."""

type Row = Mapping[str, str | int | None]
"""A ledger row by column; times are RFC 3339."""

type LookUp = Callable[[str, str | None], Sequence[Row]]
"""Blocks. Takes an id and the source that asks, None for all, and returns rows as they settled."""

logger = log.get(__name__)


class LedgerUnavailable(Exception):
    """The warehouse has not answered; the text says so to a client."""


class Ledger:
    """Looks ids up."""

    def __init__(self, look_up: LookUp, threads: Executor) -> None:
        self._look_up = look_up
        self._threads = threads
        self._under_way = 0

    async def rows(self, id: str, source: str | None) -> Sequence[Row]:  # noqa: A002  # the contract's word
        """Return an id's rows, those of one source where one is named; raises LedgerUnavailable."""
        if self._under_way >= THREADS + WAITING:
            raise LedgerUnavailable("too many ids are being looked up")
        self._under_way += 1
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                return await loop.run_in_executor(self._threads, self._look_up, id, source)
        except (TimeoutError, GoogleAPIError, GoogleAuthError, RequestException) as error:
            logger.warning("ledger_unavailable", error=f"{type(error).__name__}: {error}")
            raise LedgerUnavailable("the warehouse does not answer now") from None
        finally:
            self._under_way -= 1


def looking_up(client: bigquery.Client, dataset: str) -> LookUp:
    """Make the look-up in a dataset, `project.dataset`."""
    names = ", ".join(column.name for column in LEDGER_COLUMNS)
    sql = (
        f"SELECT {names} FROM `{dataset}.{LEDGER_TABLE}` "  # noqa: S608  # names of the settings and constants
        "WHERE id = @id AND (@source IS NULL OR source = @source) "
        f"ORDER BY settled_at LIMIT {MAX_ROWS}"
    )

    def look_up(id: str, source: str | None) -> Sequence[Row]:  # noqa: A002  # the contract's word
        parameters = [
            bigquery.ScalarQueryParameter("id", "STRING", id),
            bigquery.ScalarQueryParameter("source", "STRING", source),
        ]
        rows = client.query_and_wait(
            sql,
            job_config=bigquery.QueryJobConfig(query_parameters=parameters),
            api_timeout=LOOK_UP_SECONDS,
            wait_timeout=LOOK_UP_SECONDS,
            retry=None,  # type: ignore[arg-type]  # None: never; the client asks again
            job_retry=None,  # type: ignore[arg-type]
        )
        return [{name: _plain(value) for name, value in row.items()} for row in rows]

    return look_up


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
