"""A worker process: `python -m workers`."""

import argparse
import sys

from ops.runtime import clients, log, metrics, process
from ops.runtime.pushgateway import Pusher
from ops.runtime.settings import Settings
from workers.apply import Applier
from workers.claims import Claims
from workers.dead_letter import DeadLetters
from workers.guard_rail import GuardRail
from workers.outcome import Reason
from workers.subscription import Subscription
from workers.turns import Turns
from workers.unused import Unused
from workers.warehouse import Warehouse
from workers.worker import Worker

# While one batch is in flight the next gathers: room for both, and one more on its way.
OUTSTANDING_BATCHES = 3

logger = log.get(__name__)


def _declare_labels() -> None:
    """Export every label's 0 from the start: the rate of a series that begins at 1 misses the 1."""
    for reason in Reason:
        metrics.DEAD_LETTERED.labels(reason=reason.value)
    for operation in ("delete", "insert"):
        metrics.ROWS_OUT.labels(operation=operation)


async def main(settings: Settings) -> int:
    """Put the worker together, run it until SIGTERM, and leave nothing half done."""
    name = process.name("worker")
    log.setup(name, settings)
    stop = process.stop_event()
    subscriber, publisher = clients.subscriber(settings), clients.publisher(settings)
    subscription = Subscription(
        subscriber,
        settings.subscription_path,
        lease_seconds=settings.lease_seconds,
        max_messages=OUTSTANDING_BATCHES * settings.batch_max_messages,
        max_bytes=OUTSTANDING_BATCHES * settings.batch_max_bytes,
    )
    warehouse = Warehouse(clients.warehouse(settings), settings)
    guard_rail, unused = GuardRail(settings.dead_letter_max_share), Unused.of(settings)
    applier = Applier(warehouse, settings.dataset_path, name, guard_rail, unused)
    dead_letters = DeadLetters(
        publisher, settings.dead_letter_topic_path, seconds=settings.lease_seconds / 2
    )
    claims, turns = Claims.of(settings), Turns.of(settings)
    _declare_labels()
    logger.info("worker_started", subscription=settings.subscription_path)
    async with Pusher(settings, "gatekeeper_worker", name).running():
        try:
            worker = Worker(subscription, applier, dead_letters, claims, turns, settings)
            await worker.run(stop)
        finally:
            await clients.close(subscriber, publisher)
            claims.close()
            turns.close()
            unused.close()
    logger.info("worker_stopped")
    return 0


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m workers",
        description="Apply the subscription's transactions to BigQuery until SIGTERM. "
        "Settings come from the environment and .env; supervisord runs as many as it is told to.",
    ).parse_args()
    loaded = process.settings_or_exit()
    sys.exit(process.run(lambda: main(loaded)))
