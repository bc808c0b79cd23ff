import json

import pytest
import requests
from google.api_core import exceptions as gapi
from google.auth.exceptions import RefreshError, TransportError

from ops.runtime.warehouse_errors import (
    FENCED_TEXT,
    REASONS,
    Conflicted,
    Failure,
    Fenced,
    OutcomeUnknown,
    TimedOut,
    TooLarge,
    WarehouseRejected,
    WarehouseUnavailable,
    classify,
    is_transient_rpc,
)


def _job_error(reason: str, message: str = "no", code: int = 400) -> gapi.GoogleAPICallError:
    errors = [{"reason": reason, "message": message}]
    made: gapi.GoogleAPICallError = gapi.from_http_status(code, message, errors=errors)
    return made


def _answer(status: int, reason: str) -> gapi.GoogleAPICallError:
    response = requests.Response()
    response.status_code = status
    response.request = requests.Request("POST", "https://bigquery.example/jobs").prepare()
    response.headers["Content-Type"] = "application/json"
    response._content = json.dumps({"error": {"errors": [{"reason": reason}]}}).encode()
    made: gapi.GoogleAPICallError = gapi.from_http_response(response)
    return made


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (_job_error("invalidQuery", f"{FENCED_TEXT} at [2:1]"), Fenced),
        (_job_error("invalidQuery", "Query error: " + FENCED_TEXT), Fenced),
        (
            _job_error("invalidQuery", "Transaction is aborted due to concurrent update against t"),
            Conflicted,
        ),
        (
            _job_error("invalidQuery", "Could not serialize access to table p:d.t due to ..."),
            Conflicted,
        ),
        (_job_error("invalidQuery", "Could not convert string 'zz' to INT64"), WarehouseRejected),
        (_job_error("invalid"), WarehouseRejected),
        (_job_error("backendError"), WarehouseUnavailable),
        (_job_error("dontRetry", code=500), WarehouseUnavailable),
        (_answer(500, "backendError"), OutcomeUnknown),
        (_answer(503, "internalError"), OutcomeUnknown),
        (_answer(401, "authError"), WarehouseUnavailable),
        (_answer(403, "accessDenied"), WarehouseUnavailable),
        (_answer(429, "rateLimitExceeded"), WarehouseUnavailable),
        (_job_error("jobBackendError"), WarehouseUnavailable),
        (_job_error("jobInternalError"), WarehouseUnavailable),
        (_job_error("rateLimitExceeded"), WarehouseUnavailable),
        (_job_error("quotaExceeded"), WarehouseUnavailable),
        (_job_error("stopped"), TimedOut),
        (_job_error("timeout"), TimedOut),
        (_job_error("accessDenied", code=403), WarehouseUnavailable),
        (_job_error("billingNotEnabled", code=403), WarehouseUnavailable),
        (_job_error("blocked", code=403), WarehouseUnavailable),
        (_job_error("resourcesExceeded"), TooLarge),
        (_job_error("bytesBilledLimitExceeded"), TooLarge),
        (_job_error("responseTooLarge", code=403), TooLarge),
        (_answer(413, "uploadTooLarge"), TooLarge),
        (
            _job_error("badRequest", "Request payload size exceeds the limit: 10485760 bytes."),
            TooLarge,
        ),
        (
            _job_error("invalidQuery", "Too many DML statements outstanding against table p:d.t"),
            WarehouseUnavailable,
        ),
        (
            _job_error("invalidQuery", "The query was in the queue for too long"),
            WarehouseUnavailable,
        ),
        (RefreshError("the token could not be refreshed"), WarehouseUnavailable),
        (gapi.NotFound("Not found: Table p:d.t"), WarehouseRejected),
        (gapi.Forbidden("Access Denied"), WarehouseRejected),
        (requests.exceptions.ConnectionError("reset"), OutcomeUnknown),
        (requests.exceptions.ReadTimeout("slow"), OutcomeUnknown),
        (requests.exceptions.ChunkedEncodingError("cut"), OutcomeUnknown),
        (TransportError("no token"), OutcomeUnknown),
        (ConnectionResetError(), OutcomeUnknown),
        (TimeoutError(), OutcomeUnknown),
        (gapi.ServiceUnavailable("503"), OutcomeUnknown),
        (gapi.InternalServerError("500"), OutcomeUnknown),
        (gapi.BadGateway("502"), OutcomeUnknown),
        (gapi.GatewayTimeout("504"), OutcomeUnknown),
        (gapi.RetryError("gave up", cause=None), OutcomeUnknown),
        (ValueError("a bug"), WarehouseRejected),
    ],
    ids=str,
)
def test_every_failure_of_the_warehouse_has_one_meaning(error: Exception, failure: Failure) -> None:
    assert classify(error) is failure


@pytest.mark.parametrize(("reason", "failure"), REASONS.items())
def test_every_reason_of_googles_list_has_its_meaning_as_a_jobs_end(
    reason: str, failure: Failure
) -> None:
    assert classify(_job_error(reason)) is failure


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (gapi.ServiceUnavailable("refused"), True),
        (gapi.DeadlineExceeded("slow"), True),
        (gapi.ResourceExhausted("quota"), True),
        (gapi.Unknown("?"), True),
        (gapi.NotFound("no subscription"), False),
        (gapi.PermissionDenied("no"), False),
        (gapi.InvalidArgument("no"), False),
        (ValueError("a bug"), False),
    ],
    ids=str,
)
def test_a_pubsub_call_is_worth_another_try_or_not(error: Exception, *, transient: bool) -> None:
    assert is_transient_rpc(error) is transient
