"""The live console: `GET /`, and `GET /console/state` with what it shows, for the whole fleet.

Every server answers the same: all it tells comes from the Pushgateway, supervisord, Pub/Sub and the
ledger. They are asked only while somebody looks, beside the loop, and however many look, each no
more often than it says here; one that is away is told as such and holds up nothing.
"""

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from aiohttp import web

from ops.runtime import backlog, process
from ops.runtime.backlog import SubscriptionBacklog
from ops.runtime.pushed_metrics import read_pushed
from ops.runtime.settings import Settings
from ops.runtime.supervisord import ProcessState, Supervisord
from server.api import HEADERS
from server.console.page import Page
from server.console.recent_rejections import RejectedReader
from server.console.snapshot import PUSHED_METRICS, Sources, compose, totals
from server.console.sources import Source
from server.http import IN_FLIGHT

FRESH_SECONDS: Final = 1.0
"""How old a state may be that is told again."""

WAIT_SECONDS: Final = 0.7
"""How long a request waits for new answers before it tells the old ones."""

PATIENCE_SECONDS: Final = 3.0
LEDGER_SECONDS: Final = 10.0
_LEDGER_REST_SECONDS: Final = 60.0
# Cloud Monitoring samples once a minute, and a question costs.
_CLOUD_BACKLOG_SECONDS: Final = 60.0


class Console:
    """The page, and the sources of what it shows; nothing is asked before somebody looks."""

    def __init__(self, settings: Settings, sources: Sources | None = None) -> None:
        self.page = Page.load()
        self._settings = settings
        self._name = process.name("server")
        self._pool = ThreadPoolExecutor(4, "console")  # one for each source
        self._rejected = RejectedReader(settings)
        self._sources = sources or self._all_sources(settings)
        self._composing = asyncio.Lock()
        self._body = b""
        self._fresh_until = float("-inf")

    def _all_sources(self, settings: Settings) -> Sources:
        gateway = settings.pushgateway_prometheus_host
        local = settings.pubsub_emulator_host is not None
        groups = Source(
            lambda: read_pushed(gateway, PUSHED_METRICS),
            self._pool,
            every=FRESH_SECONDS,
            patience=PATIENCE_SECONDS,
        )

        def dead_lettered() -> float:
            return totals(groups.seen.value or ())["dead_lettered"]

        return Sources(
            pushgateway=groups,
            supervisord=_supervisord(self._pool),
            backlog=Source[SubscriptionBacklog](
                lambda: backlog.read(settings, PATIENCE_SECONDS),
                self._pool,
                every=FRESH_SECONDS if local else _CLOUD_BACKLOG_SECONDS,
                patience=PATIENCE_SECONDS * 2,
            ),
            # A query costs: only when a worker says that it rejected something, or by the minute.
            ledger=Source(
                self._rejected.read,
                self._pool,
                every=LEDGER_SECONDS,
                rest=_LEDGER_REST_SECONDS,
                patience=LEDGER_SECONDS * 2,
                version=dead_lettered,
            ),
        )

    async def state(self, *, leaving: bool = False) -> bytes:
        """Return the state as JSON; a process that is leaving asks nobody any more."""
        async with self._composing:  # who waits here takes the answer that comes
            now = time.monotonic()
            if now >= self._fresh_until:
                if not leaving:
                    await self._ask()
                state = compose(self._settings, self._sources, self._name)
                self._body = json.dumps(state, allow_nan=False).encode()
                self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._body

    async def _ask(self) -> None:
        asked = [source.ask() for source in self._sources if source is not None]
        under_way = [question for question in asked if question is not None]
        if under_way:
            await asyncio.wait(under_way, timeout=WAIT_SECONDS)

    async def close(self, _: web.Application) -> None:
        """Leave the questions under way to their own time limits, and close what is open."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for source in self._sources:
            if source is not None:
                source.forget()
        self._rejected.close()


def _supervisord(pool: ThreadPoolExecutor) -> Source[list[ProcessState]] | None:
    """Return the supervisord that started this process, if one did and listens on a file."""
    url = os.environ.get("SUPERVISOR_SERVER_URL", "")
    if not url.startswith("unix://"):
        return None
    path = Path(url.removeprefix("unix://"))
    return Source(
        lambda: Supervisord(path, PATIENCE_SECONDS).states(),
        pool,
        every=FRESH_SECONDS,
        patience=PATIENCE_SECONDS,
    )


CONSOLE: Final = web.AppKey("console", Console)


async def page(request: web.Request) -> web.StreamResponse:
    """Answer the page; it holds no data, so it is open to all."""
    found = request.app[CONSOLE].page
    return web.Response(body=found.body, headers=found.headers)


async def state(request: web.Request) -> web.StreamResponse:
    """Answer what the page shows."""
    body = await request.app[CONSOLE].state(leaving=request.app[IN_FLIGHT].draining)
    return web.Response(body=body, headers=HEADERS)
