"""Which failures are transient, permanent or of unknown outcome: one table for each service."""

import re
from typing import Final

import requests
from google.api_core import exceptions as gapi
from google.auth.exceptions import GoogleAuthError, TransportError

from schema import Reason

FENCED_TEXT: Final = "gatekeeper: fenced"
"""The error of a script that finds its lane or the ledger changed."""
DUPLICATE_TEXT: Final = "gatekeeper: duplicate"
"""Starts the error of a check, which goes on with `first` or `later` and the places of inserts:
whether these keys were there before any change of the script, or another phase came first."""

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
    """Whether a Pub/Sub call may succeed when it is made again."""
    return isinstance(error, TRANSIENT_RPC)


class Fenced(Exception):
    """Another worker has committed in the lane, or an id is in the ledger; nothing was changed."""


class WarehouseRejected(Exception):
    """The warehouse refused permanently; nothing was changed.

    `table`: what it refused was a change of this table, where that is known.
    """

    reason = Reason.WAREHOUSE_REJECTED
    table: str | None = None


class KeyExists(WarehouseRejected):
    """An insert has the key of another row, which its contract forbids; nothing was changed."""

    reason = Reason.CONTRACT


class DuplicateKeys(Exception):
    """Rows have keys that no row may have; nothing was changed.

    `places` are those of inserts among the script's activities. `at_begin`: the keys were there
    before the script changed the table, so that these inserts fail whatever else the script has.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        ((phase, places),) = _DUPLICATES.findall(error)[:1] or [("later", "")]
        self.at_begin = phase == "first"
        self.places = [int(place) for place in places.split(",")[:-1]]


class WarehouseUnavailable(Exception):
    """Nothing was changed, and trying again later may help."""


class Conflicted(WarehouseUnavailable):
    """Cancelled over a concurrent transaction on the same tables."""


class TimedOut(WarehouseUnavailable):
    """The job was stopped after its time limit; the same job would need as long again."""


class TooLarge(WarehouseUnavailable):
    """More than BigQuery takes in one job; `excess` says how many times, where it is known."""

    def __init__(self, error: str, excess: float = 2.0) -> None:
        super().__init__(error)
        self.excess = excess


class OutcomeUnknown(Exception):
    """The job may have taken effect, or still run: ask."""


type Failure = type[
    Fenced | DuplicateKeys | WarehouseRejected | WarehouseUnavailable | OutcomeUnknown
]
"""What a failed warehouse call means for the transaction it was about."""


# BigQuery answers 400 invalidQuery for these, which the client's own retries leave alone:
# https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
_CONFLICT = re.compile(
    r"aborted due to concurrent update|Could not serialize access", re.IGNORECASE
)
# A place that is cut off has no comma.
_DUPLICATES = re.compile(rf"{DUPLICATE_TEXT} (first|later) ((?:[0-9]+,)*)")
_TEXTS: Final[dict[Failure, re.Pattern[str]]] = {
    Fenced: re.compile(FENCED_TEXT),
    DuplicateKeys: _DUPLICATES,
    Conflicted: _CONFLICT,
}
# Both come with reasons that are otherwise permanent.
# https://cloud.google.com/bigquery/quotas#dml-limits: 20 queued mutations a table.
# https://cloud.google.com/bigquery/docs/query-queues: a queued job ends after its maximum time.
_QUEUE_FULL = re.compile(
    r"Too many DML statements outstanding|in the queue for too long|queued for too long",
    re.IGNORECASE,
)

# Every reason of https://cloud.google.com/bigquery/docs/error-messages#errortable, as the end of a
# job or as the answer to a request. A request that is answered 5xx may have been carried out
# whatever the reason: see `classify`.
REASONS: Final[dict[str, Failure]] = {
    "accessDenied": WarehouseUnavailable,  # the set-up's fault: wait for its repair
    "attributeError": WarehouseRejected,
    "backendError": WarehouseUnavailable,
    "badRequest": WarehouseRejected,
    "billingNotEnabled": WarehouseUnavailable,  # as accessDenied
    "billingTierLimitExceeded": TooLarge,
    "blocked": WarehouseUnavailable,  # as accessDenied
    "bytesBilledLimitExceeded": TooLarge,  # our own maximum_bytes_billed
    "duplicate": WarehouseRejected,
    "internalError": WarehouseUnavailable,
    "invalid": WarehouseRejected,
    "invalidQuery": WarehouseRejected,
    "invalidUser": WarehouseRejected,
    "jobBackendError": WarehouseUnavailable,
    "jobInternalError": WarehouseUnavailable,
    "jobRateLimitExceeded": WarehouseUnavailable,
    "notFound": WarehouseRejected,
    "notImplemented": WarehouseRejected,
    "proxyAuthenticationRequired": WarehouseUnavailable,  # as accessDenied
    "quotaExceeded": WarehouseUnavailable,
    "rateLimitExceeded": WarehouseUnavailable,
    "resourceInUse": WarehouseUnavailable,
    "resourcesExceeded": TooLarge,
    "responseTooLarge": TooLarge,
    "stopped": TimedOut,
    "tableUnavailable": WarehouseUnavailable,
    "timeout": TimedOut,
}
# A request without valid credentials is not carried out.
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
_PAYLOAD_TOO_LARGE = 413
# From 10 MB on BigQuery answers 400 badRequest with this text, and 413 only far above.
_REQUEST_TOO_LARGE = re.compile(r"Request payload size exceeds", re.IGNORECASE)


def classify(error: BaseException) -> Failure:
    """Decide what a warehouse error means. Texts are matched where BigQuery gives no code."""
    text = str(error)
    for known, pattern in _TEXTS.items():
        if pattern.search(text):
            return known
    if isinstance(error, gapi.GoogleAPICallError) and (failure := _of_answer(error, text)):
        return failure
    if isinstance(error, _NO_ANSWER):
        return OutcomeUnknown
    if isinstance(error, GoogleAuthError):  # no token: the request was not sent
        return WarehouseUnavailable
    return WarehouseRejected


def _of_answer(error: gapi.GoogleAPICallError, text: str) -> Failure | None:
    """Decide by BigQuery's answer to a request, or a job's end; None when it gives no reason."""
    answers_a_request = error.response is not None
    if answers_a_request and isinstance(error, gapi.ServerError):
        return OutcomeUnknown
    if error.code == _PAYLOAD_TOO_LARGE or _REQUEST_TOO_LARGE.search(text):
        return TooLarge
    if _QUEUE_FULL.search(text) or (answers_a_request and isinstance(error, _NOT_ALLOWED)):
        return WarehouseUnavailable
    found = {REASONS[reason] for reason in _reasons(error) if reason in REASONS}
    if sized := found & {TimedOut, TooLarge}:
        return sized.pop()
    if isinstance(error, gapi.ServerError) and error.errors:
        return WarehouseUnavailable  # a job's end, whatever the reason
    return WarehouseUnavailable if WarehouseUnavailable in found else None


def _reasons(error: gapi.GoogleAPICallError) -> set[str]:
    return {str(item.get("reason", "")) for item in error.errors if isinstance(item, dict)}
