"""Which failures are transient, permanent or of unknown outcome: one table a service."""

import re
from enum import Enum, auto

import requests
from google.api_core import exceptions as gapi
from google.auth.exceptions import TransportError

# Pub/Sub, https://cloud.google.com/pubsub/docs/reference/error-codes: worth another try.
TRANSIENT_RPC: tuple[type[Exception], ...] = (
    gapi.Aborted,  # a concurrent operation won
    gapi.Cancelled,  # the connection was cut under the call
    gapi.DeadlineExceeded,  # no answer in time
    gapi.InternalServerError,  # the service's own fault
    gapi.ResourceExhausted,  # quota: back off
    gapi.ServiceUnavailable,  # connection refused or the service restarts
    gapi.Unknown,  # a proxy's answer, not the service's
)


def is_transient_rpc(error: BaseException) -> bool:
    """Tell whether a Pub/Sub call may succeed when it is made again."""
    return isinstance(error, TRANSIENT_RPC)


class Failure(Enum):
    """What a failed warehouse call means for the transaction it was about."""

    CONFLICT = auto()  # cancelled over a concurrent transaction: nothing happened, go again
    TRANSIENT = auto()  # nothing happened, go again after a while
    TIMED_OUT = auto()  # stopped as its time was over, nothing happened: go again with less
    UNKNOWN = auto()  # it may have happened: ask
    SETTLED = auto()  # our own guard: the ledger holds one of the ids
    PERMANENT = auto()  # it will never work


SETTLED_TEXT = "gatekeeper: already settled"

# BigQuery answers 400 invalidQuery for these, which the client's own retries leave alone:
# https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
_CONFLICT = re.compile(
    r"aborted due to concurrent update|Could not serialize access", re.IGNORECASE
)
# https://cloud.google.com/bigquery/docs/error-messages: the job did not run, or not to its end.
# So said of a job; a request that is answered 5xx with the same reason may have been carried out.
_TRANSIENT_REASONS = {
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
    "quotaExceeded",
    "rateLimitExceeded",
    "tableUnavailable",
}
_TIMED_OUT_REASONS = {"stopped", "timeout"}
# Who may not even ask has the wrong credentials or roles, whatever the transaction holds.
_NOT_ALLOWED = (gapi.Unauthorized, gapi.Forbidden)
# The request may have been carried out although no answer came.
_NO_ANSWER = (
    requests.exceptions.RequestException,
    TransportError,
    gapi.RetryError,
    gapi.GatewayTimeout,
    gapi.BadGateway,
    gapi.InternalServerError,
    gapi.ServiceUnavailable,
    gapi.TooManyRequests,
    ConnectionError,
    TimeoutError,
)


def classify(error: BaseException) -> Failure:
    """Decide what a warehouse error means. Texts are matched where BigQuery gives no code."""
    text = str(error)
    if SETTLED_TEXT in text:
        return Failure.SETTLED
    if _CONFLICT.search(text):
        return Failure.CONFLICT
    if isinstance(error, gapi.GoogleAPICallError) and (failure := _told(error)):
        return failure
    return Failure.UNKNOWN if isinstance(error, _NO_ANSWER) else Failure.PERMANENT


def _told(error: gapi.GoogleAPICallError) -> Failure | None:
    """Decide by what BigQuery answered, to the request or as a job's end; None: it does not say."""
    to_the_request = error.response is not None
    if to_the_request and isinstance(error, gapi.ServerError):
        return Failure.UNKNOWN
    if to_the_request and isinstance(error, _NOT_ALLOWED):
        return Failure.TRANSIENT
    reasons = _reasons(error)
    if reasons & _TIMED_OUT_REASONS:
        return Failure.TIMED_OUT
    if reasons and isinstance(error, gapi.ServerError):
        return Failure.TRANSIENT  # a job's end, whatever the reason: to ask again changes nothing
    return Failure.TRANSIENT if reasons & _TRANSIENT_REASONS else None


def _reasons(error: gapi.GoogleAPICallError) -> set[str]:
    return {str(item.get("reason", "")) for item in error.errors if isinstance(item, dict)}
