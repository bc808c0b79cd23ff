import json

import schema
from server.api import responses
from server.api.responses import INVALID_SCHEMA, Verdict
from server.http import Refusal, RequestFault, refusal

SHAPE = ["status", "message", "error", "id", "payload"]


def test_a_verdict_is_json_of_the_one_shape() -> None:
    answer = Verdict(200, "Valid Schema", id="abc", payload=b'{"a": 1}')
    assert json.loads(answer.json()) == {
        "status": 200,
        "message": "Valid Schema",
        "error": None,
        "id": "abc",
        "payload": {"a": 1},
    }
    assert list(json.loads(answer.json())) == SHAPE


def test_the_payload_is_never_serialized_again() -> None:
    odd = b'{ "a":1.000,\n"b" :"\\u0041" }'
    assert odd in responses.valid(odd, None).json()


def test_a_verdict_can_leave_its_payload_out() -> None:
    answer = responses.valid(b"[]", "abc")
    assert list(json.loads(answer.json(payload=False))) == SHAPE[:-1]


def test_faults_of_the_request_and_of_the_payload_have_one_shape() -> None:
    of_payload = schema.Fault("/activities", "required", "missing", None)
    of_request = RequestFault("ordering_key", "too long", 9)
    answer = responses.refused(Refusal(INVALID_SCHEMA, of_request, of_payload, payload=b"{}"))
    assert json.loads(answer.error) == [
        {"pointer": "", "rule": "ordering_key", "message": "too long", "got": 9},
        {"pointer": "/activities", "rule": "required", "message": "missing", "got": None},
    ]


def test_unavailable_names_the_seconds_to_wait() -> None:
    answer = responses.render_refusal(refusal.unavailable("why", 7))
    assert answer.headers["Retry-After"] == "7"
