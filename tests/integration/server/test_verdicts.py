"""Every line of the contract's table, over real HTTP."""

import asyncio
import gzip
import hashlib
import json
import zlib

import grpc
import pytest

import schema
from ops.runtime.settings import Settings
from tests.support.processes import eventually
from tests.support.server_in_process import (
    INSERT,
    VALID,
    FakeTopic,
    GateUnderTest,
    gate_under_test,
    rpc_error,
)

LIMIT = 10_000


def padded(size: int) -> bytes:
    """Return a valid body of just so many bytes."""
    return VALID + b" " * (size - len(VALID))


async def test_a_valid_transaction_is_published_before_it_is_answered(
    gate: GateUnderTest,
) -> None:
    status, verdict = await gate.post(VALID, Content_Type="application/json")

    (message,) = gate.topic.messages
    assert status == 200
    assert verdict == {
        "status": 200,
        "message": "Valid Schema",
        "error": None,
        "id": message.attributes["id"],
        "payload": json.loads(VALID),
    }
    assert message.data == VALID
    assert message.ordering_key == "t1"
    assert message.attributes["source"] == ""
    assert message.attributes["sha256"] == hashlib.sha256(VALID).hexdigest()
    assert message.attributes["received_at"].endswith("+00:00")


async def test_no_answer_comes_before_the_confirmation(gate: GateUnderTest) -> None:
    gate.topic.open.clear()
    waiting = asyncio.create_task(gate.post(VALID))
    await eventually(lambda: gate.topic.under_way)

    assert not waiting.done()
    gate.topic.open.set()
    assert (await waiting)[0] == 200


async def test_the_payload_is_answered_byte_for_byte(gate: GateUnderTest) -> None:
    body = VALID.replace(b": [", b" :\n\t[").replace(b'"x"', rb'"\u0041\ud83d\ude00 \/"')

    async with gate.client.post(gate.url + "/api/activities", data=body) as answer:
        # aiohttp's own type for bytes, which the gate does not take
        assert answer.status == 415
    async with gate.client.post(
        gate.url + "/api/activities", data=body, headers={"Content-Type": "application/json"}
    ) as answer:
        assert body in await answer.read()


async def test_validate_answers_the_verdict_and_publishes_nothing(gate: GateUnderTest) -> None:
    status, verdict = await gate.post(VALID, "/api/activities/validate")

    assert (status, verdict["message"], verdict["id"]) == (200, "Valid Schema", None)
    assert verdict["payload"] == json.loads(VALID)
    assert (await gate.post(b"{}", "/api/activities/validate"))[0] == 400
    assert gate.topic.messages == []


async def test_every_fault_is_named_with_its_pointer(gate: GateUnderTest) -> None:
    broken = {**INSERT, "operation": "upsert", "col_types": ["INTEGER", "NOPE"]}
    body = json.dumps({"activities": [broken], "extra": 1}).encode()

    status, verdict = await gate.post(body)

    assert (status, verdict["message"], verdict["id"]) == (400, "Invalid Schema", None)
    assert {(fault["pointer"], fault["rule"]) for fault in verdict["error"]} == {
        ("/activities/0/operation", "operation"),
        ("/activities/0/col_types/1", "column_type"),
        ("/extra", "unknown_key"),
    }
    assert {tuple(fault) for fault in verdict["error"]} == {("pointer", "rule", "message", "got")}
    assert verdict["payload"] == json.loads(body)
    assert gate.topic.messages == []


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"{",
        b"\xff\xfe{}",
        VALID.decode().encode("utf-16"),
        VALID.decode().encode("utf-16-le"),
        b"\xef\xbb\xbf" + VALID,
        VALID.replace(b"1", b"NaN"),
        VALID.replace(b"1", b"-Infinity"),
        VALID.replace(b'"x"', rb'"\ud800"'),
        VALID.replace(b'"table"', b'"operation"'),
        VALID + VALID,
        b"[" * 9_000,
    ],
)
async def test_what_is_not_json_is_told_so(gate: GateUnderTest, body: bytes | None) -> None:
    status, verdict = await gate.post(body)

    assert (status, verdict["message"], verdict["payload"]) == (400, "Invalid JSON", None)
    assert [fault["rule"] for fault in verdict["error"]] == ["json"]


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/cloudevents+json"]
)
async def test_json_by_its_type_is_taken(gate: GateUnderTest, kind: str) -> None:
    assert (await gate.post(VALID, Content_Type=kind))[0] == 200


async def test_no_content_type_counts_as_json(gate: GateUnderTest) -> None:
    assert (await gate.post(VALID))[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "json", "*/*"])
async def test_another_type_is_unsupported(gate: GateUnderTest, kind: str) -> None:
    status, verdict = await gate.post(VALID, Content_Type=kind)

    assert (status, verdict["message"]) == (415, "Unsupported Media Type")
    assert verdict["error"][0]["rule"] == "media_type"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "bogus"])
async def test_an_unknown_encoding_is_unsupported(gate: GateUnderTest, encoding: str) -> None:
    status, verdict = await gate.post(VALID, Content_Encoding=encoding)

    assert (status, verdict["message"]) == (415, "Unsupported Media Type")
    assert verdict["error"][0]["rule"] == "content_encoding"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("identity", VALID),
        ("gzip", gzip.compress(VALID)),
        ("GZip", gzip.compress(VALID)),
        ("deflate", zlib.compress(VALID)),
        ("deflate", zlib.compress(VALID, wbits=-15)),
    ],
)
async def test_a_compressed_body_is_published_as_it_was_before(
    gate: GateUnderTest, encoding: str, body: bytes
) -> None:
    assert (await gate.post(body, Content_Encoding=encoding))[0] == 200
    assert gate.topic.messages[0].data == VALID


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not gzip",
        gzip.compress(VALID)[:-4],
        gzip.compress(VALID) + b"more",
        gzip.compress(VALID)[:-8] + b"\0" * 8,
    ],
)
async def test_a_broken_compressed_body_is_no_json(gate: GateUnderTest, body: bytes) -> None:
    status, verdict = await gate.post(body, Content_Encoding="gzip")

    assert (status, verdict["message"], verdict["payload"]) == (400, "Invalid JSON", None)


async def test_the_size_limit_is_exact(gate: GateUnderTest) -> None:
    assert (await gate.post(padded(LIMIT)))[0] == 200
    status, verdict = await gate.post(padded(LIMIT + 1))
    assert (status, verdict["message"]) == (413, "Payload Too Large")


async def test_the_size_limit_holds_after_decompression(gate: GateUnderTest) -> None:
    async def post(size: int) -> int:
        body = gzip.compress(padded(size))
        return (await gate.post(body, Content_Encoding="gzip"))[0]

    assert await post(LIMIT) == 200
    assert await post(LIMIT + 1) == 413


async def test_the_size_limit_holds_for_a_body_of_unknown_length(gate: GateUnderTest) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = await gate.raw(
        b"POST /api/activities HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_client_that_asks_first_is_told_before_it_sends(gate: GateUnderTest) -> None:
    head = b"POST /api/activities HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    asked = head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"

    refused = await gate.raw(asked % 1_000_000)
    assert refused.startswith(b"HTTP/1.1 413")

    taken = await gate.raw(asked % len(VALID) + VALID)
    assert b" 200 OK" in taken


async def test_the_same_idempotency_key_gives_the_same_id(gate: GateUnderTest) -> None:
    first = (await gate.post(VALID, Idempotency_Key="order 17"))[1]
    again = (await gate.post(VALID, Idempotency_Key="order 17"))[1]
    other = (await gate.post(VALID, Idempotency_Key="order 18"))[1]

    assert first["id"] == again["id"] == schema.derive_id("", "order 17")
    assert other["id"] != first["id"]
    assert (await gate.post(VALID))[1]["id"] != (await gate.post(VALID))[1]["id"]


async def test_an_ordering_key_overrides_the_table(gate: GateUnderTest) -> None:
    await gate.post(VALID, Ordering_Key="customer 9 \u00e9")
    assert gate.topic.messages[0].ordering_key == "customer 9 \u00e9"


@pytest.mark.parametrize(
    ("headers", "rules"),
    [
        ({"Idempotency_Key": "k" * 256}, ["idempotency_key"]),
        ({"Idempotency_Key": ""}, ["idempotency_key"]),
        ({"Ordering_Key": "\u00e9" * 513}, ["ordering_key"]),
        (
            {"Ordering_Key": "k" * 1025, "Idempotency_Key": "k" * 256},
            ["idempotency_key", "ordering_key"],
        ),
    ],
)
async def test_a_key_that_does_not_fit_is_a_fault_like_any_other(
    gate: GateUnderTest, headers: dict[str, str], rules: list[str]
) -> None:
    status, verdict = await gate.post(VALID, **headers)
    assert (status, verdict["message"]) == (400, "Invalid Schema")
    assert [fault["rule"] for fault in verdict["error"]] == rules

    _, verdict = await gate.post(b"{}", **headers)
    assert [fault["rule"] for fault in verdict["error"]] == [*rules, "required"]
    assert gate.topic.messages == []


@pytest.mark.parametrize(
    "line", [b"Idempotency-Key: b\r\nIdempotency-Key: a", b"Ordering-Key: \xff"]
)
async def test_a_key_that_cannot_be_understood_is_a_fault(gate: GateUnderTest, line: bytes) -> None:
    answer = await gate.raw(
        b"POST /api/activities HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        + line
        + b"\r\nContent-Length: %d\r\n\r\n" % len(VALID)
        + VALID
    )
    assert b"Invalid Schema" in answer


async def test_keys_of_the_greatest_length_are_taken(gate: GateUnderTest) -> None:
    headers = {"Idempotency_Key": "\u00e9" * 255, "Ordering_Key": "\u00e9" * 512}
    assert (await gate.post(VALID, **headers))[0] == 200


async def test_a_transaction_that_pubsub_does_not_take_is_unavailable(gate: GateUnderTest) -> None:
    gate.topic.errors = [rpc_error(grpc.StatusCode.PERMISSION_DENIED)]

    async with gate.client.post(
        gate.url + "/api/activities", data=VALID, headers={"Content-Type": "application/json"}
    ) as answer:
        verdict = await gate.verdict(answer)

    assert (verdict["status"], verdict["message"], verdict["id"]) == (503, "Unavailable", None)
    assert int(answer.headers["Retry-After"]) > 0
    assert "as the test asks" not in json.dumps(verdict)
    assert (await gate.post(VALID))[0] == 200


async def test_past_the_places_requests_are_shed_and_then_taken_again(gate: GateUnderTest) -> None:
    gate.topic.open.clear()
    waiting = [asyncio.create_task(gate.post(VALID)) for _ in range(20)]
    await eventually(lambda: gate.topic.under_way)

    async def shed() -> bool:
        return (await gate.post(VALID, "/api/activities/validate"))[0] == 503

    await eventually(shed)
    assert (await gate.get("/healthz"))[0] == 200

    gate.topic.open.set()
    assert {status for status, _ in await asyncio.gather(*waiting)} == {200}
    assert (await gate.post(VALID))[0] == 200


async def test_an_unknown_route_and_a_wrong_method_are_verdicts_too(gate: GateUnderTest) -> None:
    status, verdict = await gate.get("/nowhere")
    assert (status, verdict["message"]) == (404, "Not Found")

    async with gate.client.delete(gate.url + "/api/activities") as answer:
        verdict = await gate.verdict(answer)
    assert (answer.status, verdict["message"]) == (405, "Method Not Allowed")
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTX\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"POST /api/activities HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_broken_http_is_answered_with_a_verdict_and_closed(
    gate: GateUnderTest, text: bytes
) -> None:
    head, _, body = (await gate.raw(text)).partition(b"\r\n\r\n")

    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert json.loads(body)["status"] == 400


async def test_a_failure_of_ours_is_told_without_its_insides(
    gate: GateUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: bytes) -> schema.Transaction:
        raise RuntimeError("secret insides")

    monkeypatch.setattr(schema, "check_body", broken)
    status, verdict = await gate.post(VALID)

    assert (status, verdict["message"]) == (500, "Internal Server Error")
    assert "secret" not in json.dumps(verdict)


async def test_a_large_body_is_judged_without_holding_up_the_others(topic: FakeTopic) -> None:
    large = json.dumps({"activities": [{**INSERT, "operation": "?"}] * 5_000}).encode()
    async with gate_under_test(topic, MAX_BODY_BYTES="5000000") as gate:
        heavy = asyncio.create_task(gate.post(large, "/api/activities/validate"))
        answered = 0
        while not heavy.done():
            assert (await gate.get("/healthz"))[0] == 200
            answered += 1
        status, verdict = await heavy
    assert answered > 2
    assert (status, len(verdict["error"])) == (400, 5_000)


async def test_alive_and_ready_are_verdicts(gate: GateUnderTest) -> None:
    assert await gate.get("/healthz") == (
        200,
        {"status": 200, "message": "Alive", "error": None, "id": None, "payload": None},
    )
    assert (await gate.get("/readyz"))[0] == 200


async def test_many_questions_of_readiness_are_one_question_to_pubsub(gate: GateUnderTest) -> None:
    answers = await asyncio.gather(*(gate.get("/readyz") for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    assert gate.topic.checks == 1


async def test_not_ready_says_why(gate: GateUnderTest) -> None:
    gate.topic.check_error = rpc_error(grpc.StatusCode.NOT_FOUND, "no such topic")
    status, verdict = await gate.get("/readyz")

    assert (status, verdict["message"]) == (503, "Unavailable")
    assert "NOT_FOUND: no such topic" in verdict["error"][0]["message"]


async def test_a_confirmed_publish_is_proof_enough(gate: GateUnderTest) -> None:
    await gate.post(VALID)
    assert (await gate.get("/readyz"))[0] == 200
    assert gate.topic.checks == 0


def test_the_settings_bound_the_requests_in_flight() -> None:
    assert Settings.parse({"MAX_IN_FLIGHT": "20"}).max_in_flight == 20
