"""The process that notifies. Without NOTIFY_KEY_FILE it does nothing, and ends."""

import argparse
import asyncio
import contextlib
import sys

from ops.notify import Outbox, Receivers, open_webhooks, outbox_file, read_receivers
from ops.notify.notifier import Notifier
from ops.runtime import clients, log, process
from ops.runtime.contracts_in_force import ContractsInForce, contracts_or_exit
from ops.runtime.metrics_export import exporting
from ops.runtime.settings import Settings

logger = log.get(__name__)


async def notify(settings: Settings, contracts: ContractsInForce, stop: asyncio.Event) -> None:
    """Read and send until `stop` is set."""
    # Google's libraries take over 100 MB, which a process that ends does not need.
    from ops.notify.dead_letter_reader import DeadLetterReader  # noqa: PLC0415

    client = clients.subscriber(settings)
    try:
        with contextlib.closing(Outbox(outbox_file(settings))) as outbox:
            async with open_webhooks(settings) as webhooks:

                def receivers() -> Receivers:
                    tables = contracts.current.tables
                    return read_receivers(settings.api_keys_file, tables.values())

                subscription = settings.notify_subscription_path
                reader = DeadLetterReader(client, subscription, receivers, outbox)
                async with asyncio.TaskGroup() as working:
                    tasks = [
                        working.create_task(contracts.watch(), name="contracts"),
                        working.create_task(reader.read_forever(), name="dead-letters"),
                        working.create_task(
                            Notifier(outbox, webhooks).send_forever(), name="webhooks"
                        ),
                    ]
                    await stop.wait()
                    for task in tasks:
                        task.cancel()
    finally:
        await clients.close(client)


async def main(settings: Settings) -> int:
    """Notify until SIGTERM."""
    name = process.name("notifier", settings)
    log.setup(name, settings)
    if settings.notify_key_file is None:
        logger.info("notifier_off", reason="NOTIFY_KEY_FILE is not set: not needed")
        return 0
    contracts = contracts_or_exit(settings)
    async with exporting(settings, "gatekeeper_notifier", name):
        await notify(settings, contracts, process.stop_event())
    logger.info("notifier_stopped")
    return 0


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m ops.notify",
        description="Send rejections to the webhooks that API keys and contracts name.",
    ).parse_args()
    loaded = process.settings_or_exit()
    sys.exit(process.run(lambda: main(loaded)))
