import json

import schema
from server.api import verdict
from server.api.verdict import Fault, Verdict

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


def test_the_payload_is_never_written_anew() -> None:
    odd = b'{ "a":1.000,\n"b" :"\\u0041" }'
    assert odd in verdict.valid(odd, None).json()


def test_a_verdict_can_leave_its_payload_out() -> None:
    answer = verdict.valid(b"[]", "abc")
    assert list(json.loads(answer.json(payload=False))) == SHAPE[:-1]


def test_faults_of_the_request_and_of_the_payload_have_one_shape() -> None:
    of_payload = schema.Fault("/activities", "required", "missing", None)
    answer = verdict.invalid_schema([Fault("ordering_key", "too long", 9), of_payload], b"{}")
    assert json.loads(answer.error) == [
        {"pointer": "", "rule": "ordering_key", "message": "too long", "got": 9},
        {"pointer": "/activities", "rule": "required", "message": "missing", "got": None},
    ]


def test_unavailable_says_when_to_come_again() -> None:
    assert verdict.unavailable("why", 7).response().headers["Retry-After"] == "7"
