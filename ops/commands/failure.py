"""What every command does with an error: one clear line with the remedy, and exit status 1."""

import sys

from google.api_core.exceptions import GoogleAPICallError
from requests.exceptions import ConnectionError as HttpUnreachable

from ops.runtime.settings import Settings


class CommandFailed(Exception):
    """A command could not do its work; the text says why, and what to do."""


def warehouse_failure(error: Exception, settings: Settings) -> CommandFailed:
    """Return the failure of a call to BigQuery in a person's words."""
    if isinstance(error, HttpUnreachable):
        where = settings.bigquery_emulator_host or "bigquery.googleapis.com"
        return CommandFailed(f"BigQuery does not answer at {where}{hint(settings)}")
    return CommandFailed(_one_line(error))


def pubsub_failure(error: Exception, settings: Settings) -> CommandFailed:
    """Return the failure of a call to Pub/Sub in a person's words."""
    if isinstance(error, GoogleAPICallError) and error.code in {503, 504}:
        where = settings.pubsub_emulator_host or "pubsub.googleapis.com"
        return CommandFailed(f"Pub/Sub does not answer at {where}{hint(settings)}")
    return CommandFailed(_one_line(error))


def hint(settings: Settings) -> str:
    """Return what to do about a service that does not answer."""
    return ": is the fleet up? (ops/up)" if settings.local else ""


def _one_line(error: Exception) -> str:
    text = error.message if isinstance(error, GoogleAPICallError) else str(error)
    return " ".join(str(text).split()) or type(error).__name__


def report(failure: CommandFailed) -> int:
    """Write the failure's line and return the exit status of a command that failed."""
    sys.stderr.write(f"gatekeeper: {failure}\n")
    return 1
