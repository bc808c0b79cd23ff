"""The routes `GET /` and `GET /console/state`, and the sources of the state.

The sources are queried in threads, only while somebody watches, and however many watch, not more
often than the constants here allow.
"""

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

from ops.runtime import backlog, process
from ops.runtime.pushed_metrics import read_pushed
from ops.runtime.settings import Settings
from ops.runtime.supervisord import ProcessState, Supervisord
from server.api import HEADERS
from server.console.page import load_page
from server.console.recent_rejections import RecentRejections
from server.console.snapshot import PUSHED_METRICS, Sources, compose_state, totals
from server.console.sources import CachedSource
from server.http import IN_FLIGHT

FRESH_SECONDS: Final = 1.0
"""How long a state is answered again."""

WAIT_SECONDS: Final = 0.7
"""How long a request waits for new results before it answers with the previous ones."""

TIMEOUT_SECONDS: Final = 3.0
LEDGER_SECONDS: Final = 10.0
_LEDGER_MAX_AGE_SECONDS: Final = 60.0
_CLOUD_BACKLOG_SECONDS: Final = 60.0  # Cloud Monitoring samples once a minute, and queries cost


class Console:
    """The page and the sources; nothing is queried before somebody watches."""

    def __init__(self, settings: Settings) -> None:
        self.page = load_page()
        self._settings = settings
        self._name = process.name("server", settings)
        self._pool = ThreadPoolExecutor(4, "console")  # one for each source
        self._rejections = RecentRejections(settings)
        self._sources = _sources(settings, self._rejections, self._pool)
        self._composing = asyncio.Lock()
        self._body = b""
        self._fresh_until = float("-inf")

    async def state(self, *, draining: bool = False) -> bytes:
        """Return the state as JSON; a process that is draining queries nothing more."""
        async with self._composing:  # requests that wait here get the same answer
            if time.monotonic() >= self._fresh_until:
                if not draining:
                    await self._refresh()
                state = compose_state(self._settings, self._sources, self._name)
                self._body = json.dumps(state, allow_nan=False).encode()
                self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._body

    async def _refresh(self) -> None:
        started = [source.refresh() for source in self._sources if source is not None]
        if running := [query for query in started if query is not None]:
            await asyncio.wait(running, timeout=WAIT_SECONDS)

    async def close(self, _: web.Application) -> None:
        """Close what is open; queries in progress end by their own timeouts."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for source in self._sources:
            if source is not None:
                source.cancel()
        self._rejections.close()


def _sources(settings: Settings, rejections: RecentRejections, pool: ThreadPoolExecutor) -> Sources:
    groups = CachedSource(
        partial(read_pushed, settings, PUSHED_METRICS),
        pool,
        min_age=FRESH_SECONDS,
        timeout=TIMEOUT_SECONDS,
    )
    local = settings.pubsub_emulator_host is not None
    return Sources(
        pushgateway=groups,
        supervisord=_supervisord(pool),
        backlog=CachedSource(
            partial(backlog.read, settings, TIMEOUT_SECONDS),
            pool,
            min_age=FRESH_SECONDS if local else _CLOUD_BACKLOG_SECONDS,
            timeout=TIMEOUT_SECONDS * 2,
        ),
        # A query costs: once a minute, or sooner after a worker has rejected something.
        ledger=CachedSource(
            rejections.read,
            pool,
            min_age=LEDGER_SECONDS,
            max_age=_LEDGER_MAX_AGE_SECONDS,
            timeout=LEDGER_SECONDS * 2,
            version=lambda: totals(groups.latest.value or ())["dead_lettered"],
        ),
    )


def _supervisord(pool: ThreadPoolExecutor) -> CachedSource[list[ProcessState]] | None:
    """Return the supervisord that started this process, if one did and listens on a file."""
    url = os.environ.get("SUPERVISOR_SERVER_URL", "")
    if not url.startswith("unix://"):
        return None
    supervisord = Supervisord(Path(url.removeprefix("unix://")), TIMEOUT_SECONDS)
    return CachedSource(supervisord.states, pool, min_age=FRESH_SECONDS, timeout=TIMEOUT_SECONDS)


CONSOLE: Final = web.AppKey("console", Console)


async def get_page(request: web.Request) -> web.StreamResponse:
    """Answer the page; it holds no data, so it is open to all."""
    body, headers = request.app[CONSOLE].page
    return web.Response(body=body, headers=headers)


async def get_state(request: web.Request) -> web.StreamResponse:
    """Answer the state that the page shows."""
    body = await request.app[CONSOLE].state(draining=request.app[IN_FLIGHT].draining)
    return web.Response(body=body, headers=HEADERS)
