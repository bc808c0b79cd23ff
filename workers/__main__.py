"""A worker process: `python -m workers`."""

import argparse
import asyncio
import sys
from datetime import timedelta

from ops.runtime import clients, log, metrics, process
from ops.runtime.contracts_in_force import ContractsInForce, contracts_or_exit
from ops.runtime.message_key import read_message_key
from ops.runtime.metrics_export import exporting
from ops.runtime.settings import Settings
from ops.runtime.tracing import exporting_traces
from schema import Reason
from workers.catalog import CatalogCache
from workers.commit import CommitSettings, Committer
from workers.dead_letter import DeadLetters
from workers.jobs import JobLimits
from workers.lane_queues import BatchLimits, LaneQueues
from workers.rejection_limit import RejectionLimit
from workers.subscription import Subscription
from workers.warehouse import Warehouse
from workers.worker import Worker

OUTSTANDING_BATCHES = 3
"""Batches that a worker may hold: in flight, gathering, and on the way."""

logger = log.get(__name__)


def _declare_labels() -> None:
    """Export every label's 0 from the start: the rate of a series that begins at 1 misses the 1."""
    for reason in Reason:
        metrics.DEAD_LETTERED.labels(reason=reason.value)
    for operation in ("delete", "insert"):
        metrics.ROWS_OUT.labels(operation=operation)


async def main(settings: Settings, contracts: ContractsInForce) -> int:
    """Put the worker together, run it until SIGTERM, and leave nothing half done."""
    name = process.name("worker", settings)
    stop = process.stop_event()
    subscriber, publisher = clients.subscriber(settings), clients.publisher(settings)
    queues = LaneQueues(
        settings.lanes,
        BatchLimits(
            messages=settings.batch_max_messages,
            bytes=settings.batch_max_bytes,
            max_wait=min(settings.freshness_seconds, settings.batch_max_seconds),
            eager=not settings.cloud,
            jobs=settings.warehouse_jobs,
        ),
    )
    subscription = Subscription(
        subscriber,
        settings.subscription_path,
        queues,
        lease_seconds=settings.lease_seconds,
        max_messages=OUTSTANDING_BATCHES * settings.batch_max_messages,
        max_bytes=OUTSTANDING_BATCHES * settings.batch_max_bytes,
    )
    warehouse = Warehouse(
        clients.warehouse(settings),
        settings.dataset_path,
        labels={"worker": name},
        limits=JobLimits(
            settings.warehouse_jobs, maximum_bytes_billed=settings.maximum_bytes_billed
        ),
    )
    committer = Committer(
        warehouse,
        CatalogCache(warehouse),
        RejectionLimit(settings.dead_letter_max_share),
        CommitSettings(name, settings.lanes, timedelta(hours=settings.idempotency_hours)),
        lambda: contracts.current.tables,
    )
    dead_letters = DeadLetters(
        publisher,
        settings.dead_letter_topic_path,
        seconds=settings.lease_seconds / 2,
        folder=settings.state_dir.absolute() / "quarantined",
    )
    _declare_labels()
    logger.info("worker_started", subscription=settings.subscription_path)
    async with exporting(settings, "gatekeeper_worker", name):
        watching = asyncio.create_task(contracts.watch(), name="contracts")
        try:
            key = read_message_key(settings)
            await Worker(subscription, queues, committer, dead_letters, message_key=key).run(stop)
        finally:
            watching.cancel()
            await clients.close(subscriber, publisher)
    logger.info("worker_stopped")
    return 0


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m workers",
        description="Apply the subscription's transactions to BigQuery until SIGTERM. "
        "Settings come from the environment and .env; `supervisorctl scale worker N` sets how many "
        "run.",
    ).parse_args()
    loaded = process.settings_or_exit()
    log.setup(process.name("worker", loaded), loaded)
    in_force = contracts_or_exit(loaded)
    with exporting_traces(process.name("worker", loaded), loaded):
        status = process.run(lambda: main(loaded, in_force))
    sys.exit(status)
