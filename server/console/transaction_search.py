"""`GET /console/transactions/{id}`: asks every place for a transaction of any source."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from aiohttp import web
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from ops.runtime.settings import Settings
from server import spool
from server.api import HEADERS, LEDGER, transaction_id
from server.console.rejected_reader import RejectedReader
from server.console.transaction_path import Found, Unknown, path_of
from server.http import FairLimit, Refusal, source_of
from server.publish import SpoolFailed

PARALLEL: Final = 2
"""Searches that run; further ones wait."""

MAX_WAITING: Final = 10
"""Searches that may wait, half of them for one client; beyond it 503."""

SECONDS: Final = 8.0
"""After it a place's answer is not known."""

_FAILURES: Final = (
    SpoolFailed,
    LookupError,
    ConnectionError,
    TimeoutError,
    GoogleAPIError,
    GoogleAuthError,
)


class TransactionSearch:
    """Searches in threads, so that neither transactions nor the console's state wait for it."""

    def __init__(self, settings: Settings, rejected: RejectedReader) -> None:
        self._settings = settings
        self._rejected = rejected
        self._turns = asyncio.Semaphore(PARALLEL)
        self._in_flight = FairLimit(PARALLEL + MAX_WAITING, "searches", always_half=True)
        self._threads = ThreadPoolExecutor(2 * PARALLEL, "console-search")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer 200 whatever is known: the steps of the way, in words, and what is open."""
        id_ = transaction_id(request)
        client = source_of(request)
        with self._in_flight.holding(client):
            async with self._turns:
                found = await self._find(request, id_, client)
        own = self._settings
        path = path_of(id_, found, own.instance, own.lanes, own.ledger_days)
        return web.Response(body=json.dumps(path).encode(), headers=HEADERS)

    async def _find(self, request: web.Request, id_: str, client: str) -> Found:
        return Found(
            *await asyncio.gather(
                self._read(partial(spool.find, self._settings, id_)),
                _ledger(request, id_, client),
                self._read(partial(self._rejected.of_id, id_)),
            )
        )

    async def _read(self, read: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(SECONDS):
                return await loop.run_in_executor(self._threads, read)
        except _FAILURES as error:
            return Unknown(str(error) or "no answer in time")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _ledger(request: web.Request, id_: str, client: str) -> Any:
    try:
        return await request.app[LEDGER].rows(id_, None, client)
    except Refusal as refused:
        return Unknown(refused.faults[0].message)
