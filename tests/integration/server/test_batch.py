"""NDJSON in, a verdict a line out."""

import asyncio
import errno
import gzip
import json
import random
import tempfile
from typing import Any
from unittest.mock import ANY

import grpc
import pytest
from prometheus_client import REGISTRY

import schema
from tests.support.server_in_process import (
    INSERT,
    VALID,
    FakeTopic,
    InProcessServer,
    in_process_server,
    rpc_error,
)

BATCH = "/api/activities/batch"


def line(number: int, table: str = "t1") -> bytes:
    insert = {**INSERT, "table": table, "col_values": [number, "x"]}
    return json.dumps({"activities": [insert]}).encode()


async def post(
    server: InProcessServer, body: Any, kind: str = "application/x-ndjson", **headers: str
) -> tuple[int, dict[str, Any]]:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    async with server.client.post(
        server.url + BATCH, data=body, headers={"Content-Type": kind, **named}
    ) as answer:
        got: dict[str, Any] = json.loads(await answer.read())
        return answer.status, got


async def test_every_line_has_its_verdict_in_order(server: InProcessServer) -> None:
    body = b"\n".join([line(1), b"{", b"", line(2), b"{}", b"  \r", line(3) + b"\r"])

    status, got = await post(server, body)

    assert status == 200
    assert (got["accepted"], got["rejected"]) == (3, 2)
    assert [each["message"] for each in got["results"]] == [
        "Valid Schema",
        "Invalid JSON",
        "Valid Schema",
        "Invalid Schema",
        "Valid Schema",
    ]
    assert all(list(each) == ["status", "message", "error", "id"] for each in got["results"])
    ids = [each["id"] for each in got["results"] if each["id"]]
    assert ids == [message.attributes["id"] for message in server.topic.messages]
    assert [message.data for message in server.topic.messages] == [line(n) for n in (1, 2, 3)]


async def test_an_empty_batch_is_answered_with_no_results(server: InProcessServer) -> None:
    assert await post(server, b"\n\n") == (200, {"accepted": 0, "rejected": 0, "results": []})


async def test_many_lines_keep_their_order_for_each_key(server: InProcessServer) -> None:
    body = b"\n".join(line(n, f"t{n % 3}") for n in range(3_000))
    _, got = await post(server, gzip.compress(body), Content_Encoding="gzip")

    assert (got["accepted"], got["rejected"]) == (3_000, 0)
    for table in ("t0", "t1", "t2"):
        sent = [
            json.loads(message.data)["activities"][0]["col_values"][0]
            for message in server.topic.messages
            if message.attributes["ordering_key"] == table
        ]
        assert sent == list(range(int(table[1]), 3_000, 3))


async def test_a_line_over_the_limit_harms_no_other(server: InProcessServer) -> None:
    body = b"\n".join([line(1), b" " * 30_000, line(2), b"x" * 30_000])
    _, got = await post(server, body)
    assert [each["status"] for each in got["results"]] == [200, 413, 200, 413]


async def test_a_batchs_idempotency_key_names_each_line(server: InProcessServer) -> None:
    body = line(1) + b"\n" + line(2)
    _, first = await post(server, body, Idempotency_Key="file 7")
    _, again = await post(server, body, Idempotency_Key="file 7")

    assert first == again
    assert [each["id"] for each in first["results"]] == [
        schema.derive_id("", "t1", "file 7/1"),
        schema.derive_id("", "t1", "file 7/2"),
    ]


async def test_keys_that_do_not_fit_refuse_the_batch(server: InProcessServer) -> None:
    status, got = await post(server, line(1), Ordering_Key="k" * 1_025)
    assert (status, got["message"]) == (400, "Invalid Schema")
    assert server.topic.messages == []


async def test_no_line_overtakes_one_that_was_not_taken(server: InProcessServer) -> None:
    server.topic.errors = [rpc_error(grpc.StatusCode.PERMISSION_DENIED)]
    body = b"\n".join(line(n) for n in range(2_000))

    _, got = await post(server, body)

    statuses = [each["status"] for each in got["results"]]
    assert len(statuses) == 2_000
    assert statuses == sorted(statuses)  # 200s first, then 503s
    assert statuses[-1] == 503
    assert len(server.topic.messages) == statuses.count(200)


async def test_another_type_is_unsupported(server: InProcessServer) -> None:
    status, got = await post(server, line(1), "application/json")
    assert (status, got["message"]) == (415, "Unsupported Media Type")


async def test_a_body_that_breaks_off_ends_with_the_reason(server: InProcessServer) -> None:
    whole = gzip.compress(b"\n".join(line(n) for n in range(2_000)) + b"\n")
    _, got = await post(server, whole[:-8] + b"\0" * 8, Content_Encoding="gzip")
    assert 0 < got["accepted"] < 2_000
    assert got["rejected"] == 1
    assert got["results"][-1]["error"][0]["rule"] == "content_encoding"

    status, verdict = await post(server, b"no gzip", Content_Encoding="gzip")
    assert (status, verdict["message"]) == (400, "Invalid JSON")


async def test_a_body_larger_than_any_limit_streams_through(topic: FakeTopic) -> None:
    padding = random.Random(1).randbytes(3_000).hex()
    big = VALID.replace(b'"x"', b'"%b"' % padding.encode())

    async def body() -> Any:
        for _ in range(1_000):
            yield big + b"\n"

    async with in_process_server(topic, MAX_BODY_BYTES="10000") as server:
        _, got = await post(server, body())
    assert got["accepted"] == 1_000


async def test_too_many_batches_in_flight_are_refused(server: InProcessServer) -> None:
    release = asyncio.Event()

    async def slow() -> Any:
        yield line(1) + b"\n"
        await release.wait()
        yield line(2)

    waiting = [asyncio.create_task(post(server, slow())) for _ in range(8)]  # half of the places
    while len(server.topic.messages) < 8:  # noqa: ASYNC110  # the topic has no event for it
        await asyncio.sleep(0.01)
    assert (await post(server, line(1)))[0] == 503
    assert (await server.post(VALID))[0] == 200
    release.set()
    assert {status for status, _ in await asyncio.gather(*waiting)} == {200}


async def test_a_full_disk_is_an_answer_to_try_again_and_harms_no_small_batch(
    server: InProcessServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)  # where a spooled one goes when it grows
    assert await post(server, b"\n".join(map(line, range(3)))) == (200, ANY)
    status, verdict = await post(server, b"\n".join([b"{}"] * 3_000))
    assert (status, verdict["error"][0]["rule"]) == (503, "unavailable")
    assert "Idempotency-Key" in verdict["error"][0]["message"]


async def test_what_is_accepted_is_counted_once_by_table() -> None:
    async with in_process_server(FakeTopic()) as server:
        for _ in range(2):
            lines = [line(1, "counted"), line(2, "counted"), b"no JSON"]
            status, answer = await post(server, b"\n".join(lines), Idempotency_Key="k")
            assert (status, answer["accepted"]) == (200, 2)
        assert (await server.post(line(3, "counted")))[0] == 200
    labels = {"table": "counted", "outcome": "accepted"}
    counted = REGISTRY.get_sample_value("gatekeeper_table_transactions_total", labels)
    assert counted == 3
