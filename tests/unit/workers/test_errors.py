import json

import pytest
import requests
from google.api_core import exceptions as gapi
from google.auth.exceptions import RefreshError, TransportError

from workers.errors import REASONS, Failure, classify, is_transient_rpc
from workers.sql import FENCED_TEXT


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
        (_job_error("invalidQuery", f"{FENCED_TEXT} at [2:1]"), Failure.FENCED),
        (_job_error("invalidQuery", "Query error: " + FENCED_TEXT), Failure.FENCED),
        (
            _job_error("invalidQuery", "Transaction is aborted due to concurrent update against t"),
            Failure.CONFLICT,
        ),
        (
            _job_error("invalidQuery", "Could not serialize access to table p:d.t due to ..."),
            Failure.CONFLICT,
        ),
        (_job_error("invalidQuery", "Could not convert string 'zz' to INT64"), Failure.PERMANENT),
        (_job_error("invalid"), Failure.PERMANENT),
        (_job_error("backendError"), Failure.TRANSIENT),
        (_job_error("dontRetry", code=500), Failure.TRANSIENT),
        (_answer(500, "backendError"), Failure.UNKNOWN),
        (_answer(503, "internalError"), Failure.UNKNOWN),
        (_answer(401, "authError"), Failure.TRANSIENT),
        (_answer(403, "accessDenied"), Failure.TRANSIENT),
        (_answer(429, "rateLimitExceeded"), Failure.TRANSIENT),
        (_job_error("jobBackendError"), Failure.TRANSIENT),
        (_job_error("jobInternalError"), Failure.TRANSIENT),
        (_job_error("rateLimitExceeded"), Failure.TRANSIENT),
        (_job_error("quotaExceeded"), Failure.TRANSIENT),
        (_job_error("stopped"), Failure.TIMED_OUT),
        (_job_error("timeout"), Failure.TIMED_OUT),
        (_job_error("accessDenied", code=403), Failure.TRANSIENT),
        (_job_error("billingNotEnabled", code=403), Failure.TRANSIENT),
        (_job_error("blocked", code=403), Failure.TRANSIENT),
        (_job_error("resourcesExceeded"), Failure.TOO_LARGE),
        (_job_error("bytesBilledLimitExceeded"), Failure.TOO_LARGE),
        (_job_error("responseTooLarge", code=403), Failure.TOO_LARGE),
        (_answer(413, "uploadTooLarge"), Failure.TOO_LARGE),
        (
            _job_error("badRequest", "Request payload size exceeds the limit: 10485760 bytes."),
            Failure.TOO_LARGE,
        ),
        (
            _job_error("invalidQuery", "Too many DML statements outstanding against table p:d.t"),
            Failure.TRANSIENT,
        ),
        (
            _job_error("invalidQuery", "The query was in the queue for too long"),
            Failure.TRANSIENT,
        ),
        (RefreshError("the token could not be refreshed"), Failure.TRANSIENT),
        (gapi.NotFound("Not found: Table p:d.t"), Failure.PERMANENT),
        (gapi.Forbidden("Access Denied"), Failure.PERMANENT),
        (requests.exceptions.ConnectionError("reset"), Failure.UNKNOWN),
        (requests.exceptions.ReadTimeout("slow"), Failure.UNKNOWN),
        (requests.exceptions.ChunkedEncodingError("cut"), Failure.UNKNOWN),
        (TransportError("no token"), Failure.UNKNOWN),
        (ConnectionResetError(), Failure.UNKNOWN),
        (TimeoutError(), Failure.UNKNOWN),
        (gapi.ServiceUnavailable("503"), Failure.UNKNOWN),
        (gapi.InternalServerError("500"), Failure.UNKNOWN),
        (gapi.BadGateway("502"), Failure.UNKNOWN),
        (gapi.GatewayTimeout("504"), Failure.UNKNOWN),
        (gapi.RetryError("gave up", cause=None), Failure.UNKNOWN),
        (ValueError("a bug"), Failure.PERMANENT),
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
