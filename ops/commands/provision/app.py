"""`gatekeeper provision`."""

import time
from typing import TYPE_CHECKING

from typer import Option

from ops.commands.command_app import Json, command_app, command_settings, examples, number_between
from ops.commands.failure import CommandFailed
from ops.runtime.terminal import write_json, write_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.commands.provision.change import Change
    from ops.runtime.settings import Settings

_POLL_SECONDS = 0.1
# A week to fix any problem. The most: https://cloud.google.com/pubsub/docs/subscription-properties
LEAST_RETENTION_DAYS, MOST_RETENTION_DAYS = 7, 31

app = command_app()


@app.command(
    epilog=examples(
        "gatekeeper provision",
        "gatekeeper provision --dry-run          print what would be created or updated",
        "gatekeeper provision --location EU      create the dataset in the EU",
        "gatekeeper provision --labels team=data --region europe-west1",
    )
)
def provision(
    *,
    location: str | None = Option(
        None, help="The location of a new dataset (BigQuery's default is US)."
    ),
    region: list[str] = Option(
        [], help="Where Pub/Sub may store messages; may be repeated (anywhere, without it)."
    ),
    labels: str = Option(
        "", metavar="KEY=VALUE,…", help="Labels to add to topics, subscriptions and the dataset."
    ),
    kms_key: str | None = Option(
        None, help="The full name of a Cloud KMS key, for new topics and a new dataset."
    ),
    retention: int | None = Option(
        None,
        min=LEAST_RETENTION_DAYS,
        max=MOST_RETENTION_DAYS,
        metavar="DAYS",
        help="How long Pub/Sub keeps what is not acknowledged, rejected transactions included "
        f"({LEAST_RETENTION_DAYS}, without it; charged after a day), and how long the topic keeps "
        "everything for `gatekeeper rewind` (0, without it; charged).",
    ),
    dry_run: bool = Option(
        False, "--dry-run", help="Change nothing; print what would be created or updated."
    ),
    wait: float = Option(
        0,
        metavar="SECONDS",
        parser=number_between(0, 3_600),
        help="How long to wait for emulators that still start.",
    ),
    only_local: bool = Option(
        False,
        "--only-local",
        help="Do nothing where the embedded services do not run.",
    ),
    as_json: Json = False,
) -> None:
    """Create the topics, subscriptions, dataset and ledger that the fleet needs.

    Run it again at any time. It compares what exists with what is needed and updates it. If an
    update is not possible, it prints the reason and the fix.
    """
    import asyncio

    from ops.commands.google_failure import CALL_ERRORS, google_failure
    from ops.commands.provision import dataset, subscriptions
    from ops.commands.provision.provision_options import ProvisionOptions, check_key, parse_labels

    options = ProvisionOptions(
        location=location,
        labels=parse_labels(labels),
        kms_key=check_key(kms_key),
        retention_days=retention,
        regions=tuple(region),
        dry_run=dry_run,
    )
    settings = command_settings()
    if only_local and not settings.local:
        write_line(
            "cloud mode: run `gatekeeper provision` yourself, once"
            if settings.cloud
            else "not needed: LOCAL is 0"
        )
        return
    _wait_for_emulators(settings, wait)
    try:
        changes = asyncio.run(subscriptions.ensure(settings, options))
        if not as_json:
            _print(changes)
        changes += (more := dataset.ensure(settings, options))
        if not as_json:
            _print(more)
    except CALL_ERRORS as error:
        raise google_failure(error, settings) from error
    if as_json:
        write_json({"changes": [change._asdict() for change in changes]})


def _print(changes: "Sequence[Change]") -> None:
    for change in changes:
        write_line(str(change))


def _wait_for_emulators(settings: "Settings", seconds: float) -> None:
    from ops.fleet.ports import listening

    deadline = time.monotonic() + seconds
    for service, address in (
        ("Pub/Sub", settings.pubsub_emulator_host),
        ("BigQuery", settings.bigquery_emulator_host),
    ):
        while address and not listening(address):
            if time.monotonic() >= deadline:
                raise CommandFailed(f"{service} does not answer at {address}: start it with ops/up")
            time.sleep(_POLL_SECONDS)
