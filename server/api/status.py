"""`GET /api/activities/{id}`: whether a transaction was applied or rejected, from the ledger.

BigQuery's client blocks, so it runs in threads. Few look-ups run in parallel, half of them at most
for one client, a few more wait, and further ones are refused. Each has a time limit: a slow
BigQuery does not slow the other routes.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from weakref import WeakValueDictionary

from aiohttp import web
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from requests.exceptions import RequestException

from ops.runtime import clients, log
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from schema import LEDGER_COLUMNS, LEDGER_STATES, LEDGER_TABLE, Reason, lane_of_id, ledger_table
from server.api.responses import HEADERS
from server.api.route import JsonObject, Route, closed_object
from server.http import KEYS, SOURCE, FairLimit, Refusal, RequestFault, refusal, source_of

MAX_ID: Final = 1_024
"""Characters: an id is an attribute of a Pub/Sub message, or Pub/Sub's own."""

THREADS: Final = 4
MAX_WAITING: Final = 60
"""Look-ups that may wait for a thread."""

LOOK_UP_SECONDS: Final = 7.0
"""One or two HTTP requests. Together with the drain it is below supervisord's stopwaitsecs."""

MAX_ROWS: Final = 100
"""Rows of one id: the transaction and its conflicts. More are cut."""

type Row = Mapping[str, str | int | None]
"""A ledger row by column; times are RFC 3339."""

type LookUp = Callable[[str, str | None], Sequence[Row]]
"""Blocks. Takes an id and a source, None for any; returns rows in the order of settlement."""

logger = log.get(__name__)


class Ledger:
    """Looks ids up in threads."""

    def __init__(
        self, look_up: LookUp, threads: Executor, seconds: float = LOOK_UP_SECONDS
    ) -> None:
        self._look_up = look_up
        self._threads = threads
        self._seconds = seconds
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._in_flight = FairLimit(THREADS + MAX_WAITING, "look-ups of ids", always_half=True)

    async def rows(
        self,
        id: str,  # noqa: A002  # the contract's word
        source: str | None,
        client: str,
    ) -> Sequence[Row]:
        """Return the rows of an id, of one source if it is given. Raises Refusal: 503.

        `client` is whose share the look-up takes (`server.http.source_of`).
        """
        loop = asyncio.get_running_loop()
        turns = self._turns.setdefault(client, asyncio.Semaphore(THREADS // 2))
        with self._in_flight.holding(client):
            try:
                async with asyncio.timeout(self._seconds), turns:
                    return await loop.run_in_executor(self._threads, self._look_up, id, source)
            except (TimeoutError, GoogleAPIError, GoogleAuthError, RequestException) as error:
                logger.warning("ledger_unavailable", error=f"{type(error).__name__}: {error}")
                raise refusal.unavailable("the warehouse does not answer now", 2) from None


LEDGER: Final = web.AppKey("ledger", Ledger)


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """Yield the ledger of the settings' dataset."""
    client = clients.warehouse(settings)
    threads = ThreadPoolExecutor(THREADS, "ledger")
    yield Ledger(_bigquery_look_up(client, settings.dataset_path, settings.lanes), threads)
    threads.shutdown(wait=False, cancel_futures=True)
    client.close()


def _bigquery_look_up(client: bigquery.Client, dataset: str, lanes: int) -> LookUp:
    names = ", ".join(column.name for column in LEDGER_COLUMNS)

    def look_up(id: str, source: str | None) -> Sequence[Row]:  # noqa: A002  # the contract's word
        # The view reads every lane's table, and BigQuery bills at least 10 MB for each.
        lane = lane_of_id(id, lanes)
        table = LEDGER_TABLE if lane is None else ledger_table(lane)
        sql = (
            f"SELECT {names} FROM `{dataset}.{table}` "  # noqa: S608  # names of the settings and constants
            "WHERE id = @id AND (@source IS NULL OR source = @source) "
            f"ORDER BY settled_at LIMIT {MAX_ROWS}"
        )
        parameters = {"id": id, "source": source}
        rows = query(client, sql, timeout=LOOK_UP_SECONDS, parameters=parameters)
        return [{name: _plain(value) for name, value in row.items()} for row in rows]

    return look_up


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


async def get_activity(request: web.Request) -> web.StreamResponse:
    """Answer the transaction's row of the ledger, and the conflicts over its id.

    404 while it is not settled: a second or so after it was accepted, or longer when workers lag.
    """
    name = transaction_id(request)
    source = request.get(SOURCE, "") if KEYS in request.app else None
    rows = await request.app[LEDGER].rows(name, source, source_of(request))
    if not rows:
        raise _not_found(
            "no transaction is settled under this id: it is unknown, or not yet applied"
        )
    return web.Response(body=json.dumps(combine(rows)).encode(), headers=HEADERS)


def transaction_id(request: web.Request) -> str:
    """Return the id in the request's path. Raises Refusal: 404."""
    name = request.match_info["id"]
    if not (0 < len(name) <= MAX_ID and name.isprintable()):
        raise _not_found(f"an id has 1 to {MAX_ID:,} printable characters")
    return name


def _not_found(why: str) -> Refusal:
    return Refusal(refusal.NOT_FOUND, RequestFault("transaction", why))


def combine(rows: Sequence[Row]) -> JsonObject:
    """Combine an id's rows into one answer: the transaction's row and `conflicts`, other bodies'.

    The times cannot identify the conflicts: they may be settled in the same instant.
    """
    own, *conflicts = sorted(rows, key=lambda row: row["reason"] == Reason.IDEMPOTENCY_CONFLICT)
    return {"status": 200, **own, "conflicts": conflicts}


_JSON_TYPES: Final[dict[str, JsonObject]] = {
    "STRING": {"type": "string"},
    "INT64": {"type": "integer"},
    "TIMESTAMP": {"type": "string", "format": "date-time"},
}


def _columns() -> JsonObject:
    columns: JsonObject = {}
    for column in LEDGER_COLUMNS:
        described = {**_JSON_TYPES[column.type], "description": column.description}
        if column.mode == "NULLABLE":
            described["type"] = [described["type"], "null"]
        columns[column.name] = described
    columns["state"]["enum"] = list(LEDGER_STATES)
    columns["reason"]["enum"] = [*Reason, None]
    return columns


def _result() -> JsonObject:
    conflicts = {
        "type": "array",
        "items": closed_object(_columns()),
        "description": "The rows of other bodies that came under the same id.",
    }
    return closed_object({"status": {"const": 200}, **_columns(), "conflicts": conflicts})


ROUTES: Final = (
    Route(
        "GET",
        "/api/activities/{id}",
        get_activity,
        (refusal.NOT_FOUND, refusal.UNAVAILABLE),
        parameters=(
            {
                "name": "id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ID},
                "description": "The `id` of the verdict. With API keys: only of the key's source.",
            },
        ),
        result=_result(),
        # Not the paths of POST routes: a GET of them is answered with 405.
        pattern="/api/activities/{id:(?!(?:validate|batch)$)[^{}/]+}",
    ),
)
