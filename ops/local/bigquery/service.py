"""The server: local-bigquery's app on one socket, from start to stop."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import uvicorn
from local_bigquery.app import app
from local_bigquery.engine import database
from local_bigquery.jobs import runner
from local_bigquery.settings import settings as emulator_settings

from ops.local.bigquery import (
    access,
    confinement,
    job_recovery,
    patches,
    table_names,
    translation_cache,
)
from ops.local.bigquery.maintenance import KeptDays, Maintenance, remove_orphans
from ops.local.bigquery.maintenance_lock import MaintenanceLock
from ops.runtime import log

logger = log.get(__name__)

REQUEST_THREADS = 24  # the emulator runs 8 jobs in parallel; the rest read tables and jobs
DRAIN_SECONDS = 5
TICK_SECONDS = 1.0


class _UvicornServer(uvicorn.Server):
    """Uvicorn without its signal handling, which ends the process with the signal."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    async def main_loop(self) -> None:
        """Tick once a second, for the Date header, not ten times: it costs more than all the rest.

        A limit of requests is not set, so that nothing but `_stop` ends it.
        """
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_SECONDS)

    def _stop(self) -> None:
        self.should_exit = True
        self._stopping.set()


def open_database(directory: Path, project_id: str, dataset_id: str, lock: MaintenanceLock) -> int:
    """Open or create the lake in this directory; return the number of interrupted jobs.

    The process changes into the directory, so the lake has relative paths and can be moved.
    """
    directory.mkdir(parents=True, exist_ok=True)
    os.chdir(directory)
    emulator_settings.data_dir = Path()
    emulator_settings.default_project_id = project_id
    emulator_settings.default_dataset_id = dataset_id
    patches.apply(lock)
    # Jobs are small and run in parallel: a second thread for each costs more than it gains, a third
    # of a batch's time when workers and servers need the same cores.
    database.execute("SET threads = 1")
    confinement.lock(database.connection())
    table_names.rename_old_tables()
    return job_recovery.fail_unfinished_jobs()


def health() -> dict[str, str]:
    database.fetch("SELECT 1")
    return {"status": "ok"}


async def serve(listener: socket.socket, application: Any) -> None:
    """Answer on the socket until SIGTERM; running requests have `DRAIN_SECONDS`."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = REQUEST_THREADS
    app.add_api_route("/healthz", health, include_in_schema=False)
    for name in ("uvicorn.error", "sqlglot"):
        logging.getLogger(name).setLevel(logging.ERROR)
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    await _UvicornServer(config).serve(sockets=[listener])


def close_database() -> None:
    """Cancel the running jobs, and write everything to disk."""
    for project_id, job_id in list(runner._running):  # noqa: SLF001
        runner.cancel(project_id, job_id)
    runner._executor.shutdown(cancel_futures=True)  # noqa: SLF001
    database.connection().close()


def run(  # noqa: PLR0913  # all but two are keyword-only
    listener: socket.socket,
    directory: Path,
    *,
    host: str,
    token: str | None,
    dataset: tuple[str, str],
    kept: KeptDays,
) -> None:
    """Serve the lake in this directory on this socket until SIGTERM or SIGINT.

    `host` is the host name or address of the setting, `token` what `access` asks for.
    """
    lock = MaintenanceLock()
    interrupted = open_database(directory, *dataset, lock)
    cache = translation_cache.install()
    application = access.guarding(translation_cache.clearing(app, cache), token, host)
    maintenance = Maintenance(lock, dataset, kept)
    remove_orphans()
    maintenance.start()
    logger.info("local_bigquery_ready", address=listener.getsockname()[:2], interrupted=interrupted)
    try:
        asyncio.run(serve(listener, application))
    finally:
        maintenance.stop()
        close_database()
    logger.info("local_bigquery_stopped")
