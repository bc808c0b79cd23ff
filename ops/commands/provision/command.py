"""Create the topics, subscriptions, dataset and ledger that the fleet needs.

Safe to run twice: what exists is compared with what is needed, brought up to date where that is
possible, and reported as an error with its remedy where it is not.

For example:
  gatekeeper provision
  gatekeeper provision --location EU      where a dataset that does not exist yet is to live
"""

import argparse
import asyncio
import time

from google.api_core.exceptions import GoogleAPICallError
from requests.exceptions import ConnectionError as HttpUnreachable
from rich.console import Console

from ops.commands.failure import CommandFailed, pubsub_failure, report, warehouse_failure
from ops.commands.provision import dataset as provision_warehouse
from ops.commands.provision import subscriptions as provision_pubsub
from ops.fleet.ports import listening
from ops.runtime.settings import Settings

console = Console(highlight=False, soft_wrap=True)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--location", help="the dataset's location (US is BigQuery's default)")
    parser.add_argument(
        "--wait",
        type=float,
        default=0,
        metavar="SECONDS",
        help="wait so long for emulators that do not answer yet",
    )
    parser.add_argument(
        "--only-local",
        action="store_true",
        help="in the cloud, do nothing: resources there are made by a person, once",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Create or check everything; print one line for each thing."""
    if options.only_local and not settings.local:
        console.print("cloud mode: run `gatekeeper provision` once, by hand")
        return 0
    try:
        _wait_for_emulators(settings, options.wait)
        _provision(settings, options.location)
    except CommandFailed as failure:
        return report(failure)
    return 0


def _provision(settings: Settings, location: str | None) -> None:
    try:
        for change in asyncio.run(provision_pubsub.ensure(settings)):
            console.print(str(change))
    except GoogleAPICallError as error:
        raise pubsub_failure(error, settings) from error
    try:
        for change in provision_warehouse.ensure(settings, location):
            console.print(str(change))
    except (GoogleAPICallError, HttpUnreachable) as error:
        raise warehouse_failure(error, settings) from error


def _wait_for_emulators(settings: Settings, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for service, address in (
        ("Pub/Sub", settings.pubsub_emulator_host),
        ("BigQuery", settings.bigquery_emulator_host),
    ):
        while address and not listening(address):
            if time.monotonic() >= deadline:
                raise CommandFailed(f"{service} does not answer at {address}: ops/up starts it")
            time.sleep(0.1)
