"""The console's page, its state, and the history of its charts: the routes and the sources.

The sources are queried in threads, and however many watch, not more often than the constants here
allow. While nobody watches, only what the charts need is read, once in STEP_SECONDS.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from ops.runtime import backlog, log, process
from ops.runtime.pushed_metrics import PushedGroup, read_pushed
from ops.runtime.settings import Settings
from ops.runtime.supervisord import ProcessState, Supervisord
from server.api import HEADERS
from server.console.chart_history import STEP_SECONDS, ChartHistory
from server.console.fleet_rates import FleetRates, chart_point
from server.console.page import load_page
from server.console.rejected_actions import RejectedActions
from server.console.rejected_reader import RejectedReader
from server.console.snapshot import PUSHED_METRICS, Rates, Sources, compose_state, totals
from server.console.sources import CachedSource
from server.console.transaction_search import TransactionSearch
from server.http import IN_FLIGHT, Refusal, RequestFault, refusal

FRESH_SECONDS: Final = 1.0
"""How long a state is answered again."""

WAIT_SECONDS: Final = 0.7
"""How long a request waits for new results before it answers with the previous ones."""

TIMEOUT_SECONDS: Final = 3.0
LEDGER_SECONDS: Final = 10.0
_LEDGER_MAX_AGE_SECONDS: Final = 60.0
_CLOUD_BACKLOG_SECONDS: Final = 60.0  # Cloud Monitoring samples once a minute, and queries cost
_IDLE_SHARE: Final = 0.01  # of a core, for reading what a large fleet pushes while nobody watches

logger = log.get(__name__)


class Console:
    """The page, the sources, and the history; `run` it with the application."""

    def __init__(self, settings: Settings, step: float = STEP_SECONDS) -> None:
        self.page = load_page()
        self.history = ChartHistory()
        self._settings = settings
        self._step = step
        self._name = process.name("server", settings)
        self._pool = ThreadPoolExecutor(5, "console")  # one for each source, one for the state
        self._pushed = _TimedReader(settings)
        self._rejected = RejectedReader(settings)
        self.search = TransactionSearch(settings, self._rejected)
        self._sources = _sources(settings, self._pushed, self._rejected, self._pool)
        self.actions = RejectedActions(settings, self._sources.ledger.expire)
        self._rates = Rates.of(settings)  # of the state, between two pushes
        self._sampled = FleetRates(settings)  # of the history, between two points
        self._composing = asyncio.Lock()
        self._body = b""
        self._fresh_until = float("-inf")

    async def state(self, *, draining: bool = False) -> bytes:
        """Return the state as JSON; a process that is draining queries nothing more."""
        async with self._composing:  # requests that wait here get the same answer
            if time.monotonic() >= self._fresh_until:
                if not draining:
                    await _refresh(self._sources, WAIT_SECONDS)
                loop = asyncio.get_running_loop()
                self._body = await loop.run_in_executor(self._pool, self._compose)
                self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._body

    def _compose(self) -> bytes:
        state = compose_state(self._settings, self._sources, self._rates, self._name)
        return json.dumps(state, allow_nan=False).encode()

    async def run(self, app: web.Application) -> AsyncIterator[None]:
        """Fill the history until the application ends; then close what is open.

        Queries in progress end by their own timeouts.
        """
        sampling = asyncio.create_task(self._sample_forever(app), name="console-history")
        yield
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling
        self._pool.shutdown(wait=False, cancel_futures=True)
        for source in self._sources:
            if source is not None:
                source.cancel()
        self.search.close()
        self._rejected.close()

    async def _sample_forever(self, app: web.Application) -> None:
        while True:
            await asyncio.sleep(pause_seconds(self._step, self._pushed.cpu_seconds))
            if app[IN_FLIGHT].draining:
                return
            try:
                await self._sample()
            except Exception:  # the server goes on without the point
                logger.exception("console_history_failed")

    async def _sample(self) -> None:
        await _refresh((self._sources.pushgateway, self._sources.backlog), TIMEOUT_SECONDS)
        groups = self._sources.pushgateway.latest.value
        now = time.time()
        self._sampled.observe(groups or (), now)
        self.history.add(
            now, chart_point(self._sampled, groups, self._sources.backlog.latest.value)
        )


def pause_seconds(step: float, cpu_seconds: float) -> float:
    """Return the wait until the next point, after a read that took some processor time."""
    return max(step, cpu_seconds / _IDLE_SHARE)


async def _refresh(sources: Iterable[CachedSource[Any] | None], seconds: float) -> None:
    started = [source.refresh() for source in sources if source is not None]
    if running := [query for query in started if query is not None]:
        await asyncio.wait(running, timeout=seconds)


class _TimedReader:
    """Reads what all processes pushed, and measures the processor time that the last read took."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.cpu_seconds = 0.0

    def __call__(self) -> list[PushedGroup]:
        began = time.thread_time()
        try:
            return read_pushed(self._settings, PUSHED_METRICS)
        finally:
            self.cpu_seconds = time.thread_time() - began


def _sources(
    settings: Settings,
    pushed: _TimedReader,
    rejected: RejectedReader,
    pool: ThreadPoolExecutor,
) -> Sources:
    groups = CachedSource(pushed, pool, min_age=FRESH_SECONDS, timeout=TIMEOUT_SECONDS)
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
            rejected.summary,
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


async def get_history(request: web.Request) -> web.StreamResponse:
    """Answer the points of the charts; with `after`, in Unix seconds, only those after it."""
    try:
        after = float(request.query.get("after", "-inf"))
    except ValueError:
        fault = RequestFault("after", "after is a time in Unix seconds", request.query["after"])
        raise Refusal(refusal.BAD_REQUEST, fault) from None
    body = json.dumps(request.app[CONSOLE].history.after(after), allow_nan=False).encode()
    return web.Response(body=body, headers=HEADERS)


async def get_transaction(request: web.Request) -> web.StreamResponse:
    """Answer what every place knows of a transaction."""
    return await request.app[CONSOLE].search.answer(request)


async def post_replay(request: web.Request) -> web.StreamResponse:
    """Replay an id's open rejections."""
    return await request.app[CONSOLE].actions.replay(request)


async def post_discard(request: web.Request) -> web.StreamResponse:
    """Discard an id's open rejections."""
    return await request.app[CONSOLE].actions.discard(request)


ROUTES: Final = (
    ("GET", "/", get_page),
    ("GET", "/console/state", get_state),
    ("GET", "/console/history", get_history),
    ("GET", "/console/transactions/{id:[^{}/]+}", get_transaction),
    ("POST", "/console/rejected/{id:[^{}/]+}/replay", post_replay),
    ("POST", "/console/rejected/{id:[^{}/]+}/discard", post_discard),
)
"""Pages for people: not part of the API, so not in its description."""
