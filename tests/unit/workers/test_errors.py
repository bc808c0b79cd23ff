import json

import pytest
import requests
from google.api_core import exceptions as gapi
from google.auth.exceptions import TransportError

from workers.errors import SETTLED_TEXT, Failure, classify, is_transient_rpc


def _job_error(reason: str, message: str = "no", code: int = 400) -> gapi.GoogleAPICallError:
    errors = [{"reason": reason, "message": message}]
    return gapi.from_http_status(code, message, errors=errors)


def _answer(status: int, reason: str) -> gapi.GoogleAPICallError:
    response = requests.Response()
    response.status_code = status
    response.request = requests.Request("POST", "https://bigquery.example/jobs").prepare()
    response.headers["Content-Type"] = "application/json"
    response._content = json.dumps({"error": {"errors": [{"reason": reason}]}}).encode()
    return gapi.from_http_response(response)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (_job_error("invalidQuery", f"{SETTLED_TEXT} at [2:1]"), Failure.SETTLED),
        (_job_error("invalidQuery", "Query error: " + SETTLED_TEXT), Failure.SETTLED),
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
