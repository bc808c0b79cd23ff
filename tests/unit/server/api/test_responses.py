import json

from hypothesis import given
from hypothesis import strategies as st

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


_FAULTS = st.builds(
    RequestFault, st.sampled_from(["x"]), st.text(max_size=400), st.text(max_size=257)
)


@given(st.lists(_FAULTS, max_size=130), st.binary(max_size=10).map(lambda each: each * 10_000))
def test_no_answer_is_large(faults: list[RequestFault], payload: bytes) -> None:
    answer = responses.refused(Refusal(INVALID_SCHEMA, *faults, payload=payload)).json()
    assert len(answer) < 1_000_000
    assert answer.count(b'"rule": "x"') == min(len(faults), 100)
    assert (b'"truncated": true, "faults_seen": %d' % len(faults) in answer) == (len(faults) > 100)


def test_bytes_of_a_header_that_are_no_text_are_replaced() -> None:
    answer = responses.refused(Refusal(INVALID_SCHEMA, RequestFault("x", "y", "\udcff")))
    assert json.loads(answer.json())["error"][0]["got"] == "?"
