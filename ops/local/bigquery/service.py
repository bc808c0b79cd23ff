"""The server: local-bigquery's app on one socket, from the first start to the last byte on disk."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio.to_thread
import uvicorn
from local_bigquery.app import app
from local_bigquery.engine import database
from local_bigquery.jobs import runner
from local_bigquery.settings import settings as emulator_settings

from ops.local.bigquery import patches, recovery, translations
from ops.local.bigquery.gate import Gate
from ops.local.bigquery.translations import Translations
from ops.local.bigquery.upkeep import Upkeep
from ops.runtime import log

logger = log.get(__name__)

REQUEST_THREADS = 24  # the emulator runs 8 jobs at once; the rest look at tables and jobs
DRAIN_SECONDS = 5


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling, which ends the process by the signal it got."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True


def open_database(directory: Path, project_id: str, dataset_id: str, gate: Gate) -> int:
    """Open the lake in this directory, made where missing; return the jobs settled by recovery.

    The process changes into the directory, so that the lake holds relative paths and can be moved.
    """
    directory.mkdir(parents=True, exist_ok=True)
    os.chdir(directory)
    emulator_settings.data_dir = Path()
    emulator_settings.default_project_id = project_id
    emulator_settings.default_dataset_id = dataset_id
    patches.apply(gate)
    database.execute("SET autoinstall_known_extensions = false")  # nothing is ever downloaded
    # Jobs run side by side, each small: a second thread for one costs more than it brings, a third
    # of a batch's time where workers and servers want the same cores.
    database.execute("SET threads = 1")
    return recovery.settle_unfinished_jobs()


def health() -> dict[str, str]:
    """Answer that the database answers."""
    database.fetch("SELECT 1")
    return {"status": "ok"}


async def serve(listener: socket.socket, memory: Translations) -> None:
    """Answer on the socket until SIGTERM; requests under way have `DRAIN_SECONDS`."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = REQUEST_THREADS
    app.add_api_route("/healthz", health, include_in_schema=False)
    for chatty in ("uvicorn.error", "sqlglot"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    config = uvicorn.Config(
        translations.forgetting(app, memory),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    await _Server(config).serve(sockets=[listener])


def close_database() -> None:
    """Interrupt what still runs, and write everything to its place."""
    for project_id, job_id in list(runner._running):  # noqa: SLF001
        runner.cancel(project_id, job_id)
    runner._executor.shutdown(cancel_futures=True)  # noqa: SLF001
    database.connection().close()


def run(
    listener: socket.socket, directory: Path, dataset: tuple[str, str], ledger_days: int
) -> None:
    """Serve the lake in this directory on this socket until SIGTERM or SIGINT."""
    gate = Gate()
    settled = open_database(directory, *dataset, gate)
    memory = translations.remember()
    upkeep = Upkeep(gate, dataset, ledger_days)
    upkeep.prepare()
    upkeep.start()
    logger.info("local_bigquery_ready", address=listener.getsockname()[:2], settled=settled)
    try:
        asyncio.run(serve(listener, memory))
    finally:
        upkeep.stop()
        close_database()
    logger.info("local_bigquery_stopped")
