"""Shows the metrics of this process to others while it runs: on the Pushgateway, and on a page."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from ops.runtime import log, metrics
from ops.runtime.metrics_files import MetricsFile
from ops.runtime.metrics_page import MetricsPage
from ops.runtime.pushgateway import Pusher
from ops.runtime.settings import Settings

logger = log.get(__name__)


@contextlib.asynccontextmanager
async def exporting(settings: Settings, job: str, instance: str) -> AsyncIterator[None]:
    """Export every METRICS_PUSH_SECONDS while the block runs, next to the work.

    Without a Pushgateway, and for METRICS_PORT, the process has a file. A failure is logged and
    counted, and nothing else. At the end the metrics are pushed once more, and then deleted. So a
    group that no longer changes is of a process that was killed, hangs or was cut off.
    """
    stop = asyncio.Event()
    exporter = _Exporter(settings, job, instance)
    task = asyncio.create_task(exporter.export_until(stop), name="metrics")
    try:
        yield
    finally:
        stop.set()
        await task  # not cancelled: its thread would continue, perhaps after a delete
        await exporter.end()


class _Exporter:
    def __init__(self, settings: Settings, job: str, instance: str) -> None:
        self._every = settings.metrics_push_seconds
        gateway, port = settings.pushgateway_prometheus_host, settings.metrics_port
        self._pusher = Pusher(gateway, job, instance) if gateway else None
        self._file = None if gateway and not port else MetricsFile(settings, job, instance)
        self._page = MetricsPage(settings) if port else None

    async def export_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if self._file:
                await _attempt("file", self._file.write)
            if self._page:
                await _attempt("page", self._page.serve)
            if self._pusher:
                await self._pusher.push()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every)

    async def end(self) -> None:
        if self._page:
            await _attempt("page", self._page.close)
        if self._file:
            await _attempt("file", self._file.delete)
        # After a push that failed, a second call would wait as long again.
        if self._pusher and await self._pusher.push():
            await self._pusher.delete()


async def _attempt(what: str, action: Callable[[], None]) -> None:
    try:
        await asyncio.to_thread(action)
    except Exception as error:  # noqa: BLE001  # metrics must not disturb the work
        metrics.PUSH_FAILURES.inc()
        logger.warning("metrics_not_shown", what=what, error=str(error))
