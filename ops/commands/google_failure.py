"""Failed calls to Pub/Sub and BigQuery, as one line with the remedy."""

import re

import grpc
from google.api_core.exceptions import GoogleAPICallError

from ops.commands.failure import CommandFailed
from ops.runtime.bigquery import UNREACHABLE
from ops.runtime.settings import Settings

CALL_ERRORS = (GoogleAPICallError, *UNREACHABLE, TimeoutError)


_REQUEST = re.compile(r"^[A-Z]+ https?://\S+: ")
"""What the client puts before the message of an answer."""


def google_failure(error: Exception, settings: Settings) -> CommandFailed:
    unreachable = unreachable_service(error, settings)
    hint = ": is the fleet running? (ops/up)" if unreachable and settings.local else ""
    return CommandFailed(f"{unreachable or one_line(error)}{hint}")


def unreachable_service(error: Exception, settings: Settings) -> str:
    """Return which service does not answer and where; "" if the error is another one."""
    if isinstance(error, UNREACHABLE):
        where = settings.bigquery_emulator_host or "bigquery.googleapis.com"
        return f"BigQuery does not answer at {where}"
    # Only Pub/Sub is called over gRPC.
    if _over_grpc(error) and getattr(error, "code", None) in {503, 504}:
        where = settings.pubsub_emulator_host or "pubsub.googleapis.com"
        return f"Pub/Sub does not answer at {where}"
    return ""


def _over_grpc(error: Exception) -> bool:
    return isinstance(getattr(error, "response", None), grpc.RpcError)


def one_line(error: Exception) -> str:
    """Return the message once, without the request's address and the repetition in a job's."""
    text = _service_message(error) if isinstance(error, GoogleAPICallError) else str(error)
    return " ".join(text.split()) or type(error).__name__


def _service_message(error: GoogleAPICallError) -> str:
    found = [
        each["message"] for each in error.errors if isinstance(each, dict) and "message" in each
    ]
    return "; ".join(dict.fromkeys(found)) or _REQUEST.sub("", str(error.message))
