"""Every line of the contract's table, over real HTTP."""

import asyncio
import gzip
import hashlib
import json
import zlib

import grpc
import pytest

import schema
from ops.rig import eventually
from ops.runtime.settings import Settings
from tests.support.server_in_process import (
    INSERT,
    RAW_POST,
    VALID,
    FakeTopic,
    InProcessServer,
    in_process_server,
    rpc_error,
)

LIMIT = 10_000


def padded(size: int) -> bytes:
    """Return a valid body of this size."""
    return VALID + b" " * (size - len(VALID))


async def test_a_valid_transaction_is_published_before_it_is_answered(
    server: InProcessServer,
) -> None:
    status, verdict = await server.post(VALID, Content_Type="application/json")

    (message,) = server.topic.messages
    assert status == 200
    assert verdict == {
        "status": 200,
        "message": "Valid Schema",
        "error": None,
        "id": message.attributes["id"],
        "payload": json.loads(VALID),
    }
    assert message.data == VALID
    assert message.ordering_key == schema.lane_name(schema.lane_of("t1"))
    assert message.attributes["ordering_key"] == "t1"
    assert message.attributes["source"] == ""
    assert message.attributes["sha256"] == hashlib.sha256(VALID).hexdigest()
    assert message.attributes["received_at"].endswith("+00:00")


async def test_no_answer_comes_before_the_confirmation(server: InProcessServer) -> None:
    server.topic.open.clear()
    waiting = asyncio.create_task(server.post(VALID))
    await eventually(lambda: server.topic.under_way)

    assert not waiting.done()
    server.topic.open.set()
    assert (await waiting)[0] == 200


async def test_the_payload_is_answered_byte_for_byte(server: InProcessServer) -> None:
    body = VALID.replace(b": [", b" :\n\t[").replace(b'"x"', rb'"\u0041\ud83d\ude00 \/"')

    async with server.client.post(server.url + "/api/activities", data=body) as answer:
        # aiohttp's own type for bytes, which the server does not take
        assert answer.status == 415
    async with server.client.post(
        server.url + "/api/activities", data=body, headers={"Content-Type": "application/json"}
    ) as answer:
        assert body in await answer.read()


async def test_validate_answers_the_verdict_and_publishes_nothing(server: InProcessServer) -> None:
    status, verdict = await server.post(VALID, "/api/activities/validate")

    assert (status, verdict["message"], verdict["id"]) == (200, "Valid Schema", None)
    assert verdict["payload"] == json.loads(VALID)
    assert (await server.post(b"{}", "/api/activities/validate"))[0] == 400
    assert server.topic.messages == []


async def test_every_fault_is_named_with_its_pointer(server: InProcessServer) -> None:
    broken = {**INSERT, "operation": "merge", "col_types": ["INTEGER", "NOPE"]}
    body = json.dumps({"activities": [broken], "extra": 1}).encode()

    status, verdict = await server.post(body)

    assert (status, verdict["message"], verdict["id"]) == (400, "Invalid Schema", None)
    assert {(fault["pointer"], fault["rule"]) for fault in verdict["error"]} == {
        ("/activities/0/operation", "operation"),
        ("/activities/0/col_types/1", "column_type"),
        ("/extra", "unknown_key"),
    }
    assert {tuple(fault) for fault in verdict["error"]} == {("pointer", "rule", "message", "got")}
    assert verdict["payload"] == json.loads(body)
    assert server.topic.messages == []


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
async def test_a_body_that_is_not_json_is_invalid_json(
    server: InProcessServer, body: bytes | None
) -> None:
    status, verdict = await server.post(body)

    assert (status, verdict["message"], verdict["payload"]) == (400, "Invalid JSON", None)
    assert [fault["rule"] for fault in verdict["error"]] == ["json"]


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/cloudevents+json"]
)
async def test_json_by_its_type_is_taken(server: InProcessServer, kind: str) -> None:
    assert (await server.post(VALID, Content_Type=kind))[0] == 200


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "json", "*/*"]
)
async def test_another_type_is_unsupported(server: InProcessServer, kind: str) -> None:
    status, verdict = await server.post(VALID, Content_Type=kind)

    assert (status, verdict["message"]) == (415, "Unsupported Media Type")
    assert verdict["error"][0]["rule"] == "media_type"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "bogus"])
async def test_an_unknown_encoding_is_unsupported(server: InProcessServer, encoding: str) -> None:
    status, verdict = await server.post(VALID, Content_Encoding=encoding)

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
    server: InProcessServer, encoding: str, body: bytes
) -> None:
    assert (await server.post(body, Content_Encoding=encoding))[0] == 200
    assert server.topic.messages[0].data == VALID


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
async def test_a_broken_compressed_body_is_no_json(server: InProcessServer, body: bytes) -> None:
    status, verdict = await server.post(body, Content_Encoding="gzip")

    assert (status, verdict["message"], verdict["payload"]) == (400, "Invalid JSON", None)


async def test_the_size_limit_is_exact(server: InProcessServer) -> None:
    assert (await server.post(padded(LIMIT)))[0] == 200
    status, verdict = await server.post(padded(LIMIT + 1))
    assert (status, verdict["message"]) == (413, "Payload Too Large")


async def test_the_size_limit_holds_after_decompression(server: InProcessServer) -> None:
    async def post(size: int) -> int:
        body = gzip.compress(padded(size))
        return (await server.post(body, Content_Encoding="gzip"))[0]

    assert await post(LIMIT) == 200
    assert await post(LIMIT + 1) == 413


async def test_the_size_limit_holds_for_a_body_of_unknown_length(server: InProcessServer) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = await server.raw(
        RAW_POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_client_that_expects_100_continue_gets_it_before_it_sends(
    server: InProcessServer,
) -> None:
    head = RAW_POST + b"Connection: close\r\n"
    asked = head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"

    refused = await server.raw(asked % 1_000_000)
    assert refused.startswith(b"HTTP/1.1 413")

    taken = await server.raw(asked % len(VALID) + VALID)
    assert b" 200 OK" in taken


async def test_the_same_idempotency_key_gives_the_same_id(server: InProcessServer) -> None:
    first = (await server.post(VALID, Idempotency_Key="order 17"))[1]
    again = (await server.post(VALID, Idempotency_Key="order 17"))[1]
    other = (await server.post(VALID, Idempotency_Key="order 18"))[1]

    assert first["id"] == again["id"] == schema.derive_id("", "t1", "order 17")
    assert other["id"] != first["id"]
    assert (await server.post(VALID))[1]["id"] != (await server.post(VALID))[1]["id"]


async def test_an_ordering_key_overrides_the_table(server: InProcessServer) -> None:
    key = "customer 9 \u00e9"
    _, verdict = await server.post(VALID, Ordering_Key=key)
    (message,) = server.topic.messages
    assert message.attributes["ordering_key"] == key
    assert message.ordering_key == schema.lane_name(schema.lane_of(key))
    assert schema.lane_of_id(verdict["id"]) == schema.lane_of(key)


async def test_one_idempotency_key_has_the_id_of_its_first_ordering_key(
    server: InProcessServer,
) -> None:
    ids = [
        (await server.post(VALID, Idempotency_Key="order 17", Ordering_Key=key))[1]["id"]
        for key in ("customer 9", "customer 10", "customer 9")
    ]
    assert ids == [schema.derive_id("", "customer 9", "order 17")] * 3


async def test_the_settings_number_of_lanes_is_used(topic: FakeTopic) -> None:
    async with in_process_server(topic, LANES="1") as server:
        for key in ("customer 9", "customer 10"):
            _, verdict = await server.post(VALID, Ordering_Key=key)
            assert verdict["id"].startswith("00")
    assert {message.ordering_key for message in topic.messages} == {"lane-00"}


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
    server: InProcessServer, headers: dict[str, str], rules: list[str]
) -> None:
    status, verdict = await server.post(VALID, **headers)
    assert (status, verdict["message"]) == (400, "Invalid Schema")
    assert [fault["rule"] for fault in verdict["error"]] == rules

    _, verdict = await server.post(b"{}", **headers)
    assert [fault["rule"] for fault in verdict["error"]] == [*rules, "required"]
    assert server.topic.messages == []


@pytest.mark.parametrize(
    "line", [b"Idempotency-Key: b\r\nIdempotency-Key: a", b"Ordering-Key: \xff"]
)
async def test_a_repeated_or_undecodable_key_is_a_fault(
    server: InProcessServer, line: bytes
) -> None:
    answer = await server.raw(
        RAW_POST
        + b"Connection: close\r\n"
        + line
        + b"\r\nContent-Length: %d\r\n\r\n" % len(VALID)
        + VALID
    )
    assert b"Invalid Schema" in answer


async def test_keys_of_the_greatest_length_are_taken(server: InProcessServer) -> None:
    headers = {"Idempotency_Key": "\u00e9" * 255, "Ordering_Key": "\u00e9" * 512}
    assert (await server.post(VALID, **headers))[0] == 200


async def test_a_transaction_that_pubsub_does_not_take_is_unavailable(
    server: InProcessServer,
) -> None:
    server.topic.errors = [rpc_error(grpc.StatusCode.PERMISSION_DENIED)]

    async with server.client.post(
        server.url + "/api/activities", data=VALID, headers={"Content-Type": "application/json"}
    ) as answer:
        verdict = await server.verdict(answer)

    assert (verdict["status"], verdict["message"], verdict["id"]) == (503, "Unavailable", None)
    assert int(answer.headers["Retry-After"]) > 0
    assert "as the test asks" not in json.dumps(verdict)
    assert (await server.post(VALID))[0] == 200


async def test_too_many_requests_are_refused_and_later_ones_accepted(
    server: InProcessServer,
) -> None:
    server.topic.open.clear()
    # Of 20 places, two are left for another client.
    waiting = [asyncio.create_task(server.post(VALID)) for _ in range(18)]
    await eventually(lambda: server.topic.under_way)

    async def shed() -> bool:
        return (await server.post(VALID, "/api/activities/validate"))[0] == 503

    await eventually(shed)
    assert (await server.get("/healthz"))[0] == 200

    server.topic.open.set()
    assert {status for status, _ in await asyncio.gather(*waiting)} == {200}
    assert (await server.post(VALID))[0] == 200


async def test_an_unknown_route_and_a_wrong_method_are_verdicts_too(
    server: InProcessServer,
) -> None:
    status, verdict = await server.get("/nowhere")
    assert (status, verdict["message"]) == (404, "Not Found")

    async with server.client.delete(server.url + "/api/activities") as answer:
        verdict = await server.verdict(answer)
    assert (answer.status, verdict["message"]) == (405, "Method Not Allowed")
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTX\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        RAW_POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_broken_http_is_answered_with_a_verdict_and_closed(
    server: InProcessServer, text: bytes
) -> None:
    head, _, body = (await server.raw(text)).partition(b"\r\n\r\n")

    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert json.loads(body)["status"] == 400


async def test_an_internal_error_reveals_no_details(
    server: InProcessServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: bytes) -> schema.Transaction:
        raise RuntimeError("secret insides")

    monkeypatch.setattr(schema, "check_body", broken)
    status, verdict = await server.post(VALID)

    assert (status, verdict["message"]) == (500, "Internal Server Error")
    assert "secret" not in json.dumps(verdict)


async def test_the_validation_of_a_large_body_does_not_block_the_others(topic: FakeTopic) -> None:
    activities = [*[INSERT] * 20_000, *[{**INSERT, "operation": "?"}] * 5_000]
    large = json.dumps({"activities": activities}).encode()
    async with in_process_server(topic, MAX_BODY_BYTES="5000000") as server:
        zipped = gzip.compress(large)
        heavy = asyncio.create_task(
            server.post(zipped, "/api/activities/validate", Content_Encoding="gzip")
        )
        answered = 0
        while not heavy.done():
            assert (await server.get("/healthz"))[0] == 200
            answered += 1
        status, verdict = await heavy
    assert answered > 2
    assert (status, len(verdict["error"])) == (400, 100)


async def test_alive_and_ready_are_verdicts(server: InProcessServer) -> None:
    assert await server.get("/healthz") == (
        200,
        {"status": 200, "message": "Alive", "error": None, "id": None, "payload": None},
    )
    assert (await server.get("/readyz"))[0] == 200


async def test_parallel_readiness_requests_share_one_check_of_pubsub(
    server: InProcessServer,
) -> None:
    answers = await asyncio.gather(*(server.get("/readyz") for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    assert server.topic.checks == 1


async def test_not_ready_gives_the_reason(server: InProcessServer) -> None:
    server.topic.check_error = rpc_error(grpc.StatusCode.NOT_FOUND, "no such topic")
    status, verdict = await server.get("/readyz")

    assert (status, verdict["message"]) == (503, "Unavailable")
    assert "NOT_FOUND: no such topic" in verdict["error"][0]["message"]


async def test_a_confirmed_publish_is_proof_enough(server: InProcessServer) -> None:
    await server.post(VALID)
    assert (await server.get("/readyz"))[0] == 200
    assert server.topic.checks == 0


def test_the_settings_bound_the_requests_in_flight() -> None:
    assert Settings.parse({"MAX_IN_FLIGHT": "20"}).max_in_flight == 20
