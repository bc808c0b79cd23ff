"""`gatekeeper provision`."""

import asyncio
import time

from typer import Option

from ops.commands.command_app import command_app, examples
from ops.commands.failure import CommandFailed
from ops.fleet.ports import listening
from ops.runtime.process import settings_or_exit
from ops.runtime.settings import Settings
from ops.runtime.terminal import write_line

_POLL_SECONDS = 0.1

app = command_app()


@app.command(
    epilog=examples(
        "gatekeeper provision",
        "gatekeeper provision --location EU      create the dataset in the EU",
    )
)
def provision(
    *,
    location: str | None = Option(
        None, help="The location of a new dataset (BigQuery's default is US)."
    ),
    wait: float = Option(
        0, metavar="SECONDS", help="How long to wait for emulators that still start."
    ),
    only_local: bool = Option(
        False,
        "--only-local",
        help="Do nothing where the embedded services do not run.",
    ),
) -> None:
    """Create the topics, subscriptions, dataset and ledger that the fleet needs.

    Run it again at any time. It compares what exists with what is needed and updates it. If an
    update is not possible, it prints the reason and the fix.
    """
    from ops.commands.google_failure import CALL_ERRORS, google_failure
    from ops.commands.provision import dataset, subscriptions

    settings = settings_or_exit()
    if only_local and not settings.local:
        write_line(
            "cloud mode: run `gatekeeper provision` yourself, once"
            if settings.cloud
            else "not needed: LOCAL is 0"
        )
        return
    _wait_for_emulators(settings, wait)
    try:
        for change in asyncio.run(subscriptions.ensure(settings)):
            write_line(str(change))
        for change in dataset.ensure(settings, location):
            write_line(str(change))
    except CALL_ERRORS as error:
        raise google_failure(error, settings) from error


def _wait_for_emulators(settings: Settings, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for service, address in (
        ("Pub/Sub", settings.pubsub_emulator_host),
        ("BigQuery", settings.bigquery_emulator_host),
    ):
        while address and not listening(address):
            if time.monotonic() >= deadline:
                raise CommandFailed(f"{service} does not answer at {address}: start it with ops/up")
            time.sleep(_POLL_SECONDS)
