"""An answer is small and soon there, whatever is sent; and it is sent to those who read it."""

import asyncio
import contextlib
import gzip
import io
import json
import time

import pytest

from ops.rig.processes import eventually
from tests.support.server_in_process import INSERT, VALID, FakeTopic, in_process_server

VALIDATE = "/api/activities/validate"
BATCH = "/api/activities/batch"
MOST_BYTES = 1_000_000
CPU_SECONDS = 1.0
LISTS = ("col_names", "col_types", "col_values")


def many(unit: str, head: str = '{"activities":[', tail: str = "]}", size: int = 990_000) -> bytes:
    """Return a body of about `size` bytes that repeats `unit`."""
    return (head + ",".join([unit] * (size // (len(unit) + 1))) + tail).encode()


def columns(unit: str, place: str) -> bytes:
    """Return one insert in which the list at `place` has very many elements."""
    others = ", ".join(f'"{each}": ["INTEGER"]' for each in LISTS if each != place)
    head = f'{{"activities": [{{"operation": "insert", "table": "t", {others}, "{place}": ['
    return many(unit, head, "]}]}")


def keys(head: str, tail: str, length: int) -> bytes:
    """Return a body with as many unknown keys as fit, of `length` characters outside ASCII."""
    each = (f'"{"😀" * length}{number}": 1' for number in range(980_000 // (4 * length + 14)))
    return (head + ", ".join(each) + tail).encode()


ONE = '{"activities": [{"operation": "insert", "table": "t", '
HOSTILE = {
    "empty objects": many("{}"),
    "empty lists": many("[]"),
    "numbers": many("1"),
    "wrong operations": many('{"operation":"x"}'),
    "long texts": many(json.dumps("😀" * 300, ensure_ascii=False), size=240_000),
    "names that are numbers": columns("1", "col_names"),
    "the same name": columns('"a"', "col_names"),
    "unknown types": columns('"x"', "col_types"),
    "many values": columns("[]", "col_values"),
    "unknown keys": keys("{", "}", 1),
    "unknown keys of an activity": keys(ONE, "}]}", 2),
    "long unknown keys": keys(ONE, "}]}", 2_000),
    "one key": keys("{", "}", 240_000),
    "a fault at the end": many(json.dumps(INSERT), tail=",{}]}"),
    "a fault in every value": b'{"activities": [%b]}'
    % json.dumps(
        {
            **INSERT,
            "col_names": [f"c{n}" for n in range(20_000)],
            "col_types": ["INTEGER"] * 20_000,
            "col_values": ["x"] * 20_000,
        }
    ).encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_the_answer_to_very_many_faults_is_small_and_soon_there(
    topic: FakeTopic, name: str
) -> None:
    body = HOSTILE[name]
    assert len(body) <= 1_000_000
    async with in_process_server(topic) as server:
        wire = gzip.compress(body, 1)
        began = time.process_time()  # the server is in this process
        async with server.client.post(
            server.url + VALIDATE,
            data=wire,
            headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
        ) as answer:
            text = await answer.read()
        seconds = time.process_time() - began
        verdict = json.loads(text)
        status, valid = await server.post(VALID)

    assert (answer.status, verdict["message"]) == (400, "Invalid Schema")
    assert len(text) < MOST_BYTES
    assert len(verdict["error"]) <= 100
    assert verdict.get("faults_seen", 101) > 100
    assert ("truncated" in verdict) == (len(verdict["error"]) == 100)
    assert verdict["payload"] is None
    assert seconds < CPU_SECONDS
    assert (status, "truncated" in valid) == (200, False)


async def test_exactly_a_hundred_faults_are_all_and_one_more_is_not(topic: FakeTopic) -> None:
    async with in_process_server(topic) as server:
        for count, truncated in ((100, None), (101, True)):
            _, verdict = await server.post(json.dumps({"activities": [1] * count}).encode())
            assert len(verdict["error"]) == 100
            assert verdict.get("truncated") is truncated
            assert verdict["payload"] == {"activities": [1] * count}


async def test_a_body_of_64_kb_is_repeated_and_a_larger_one_is_not(topic: FakeTopic) -> None:
    async with in_process_server(topic) as server:
        for size, repeated in ((64_000, True), (64_001, False)):
            body = VALID.replace(b'"x"', b'"%b"' % (b"x" * (size - len(VALID) + 1)))
            assert len(body) == size
            for path in (VALIDATE, "/api/activities"):
                status, verdict = await server.post(body, path)
                assert (status, verdict["payload"] is not None) == (200, repeated)


async def test_a_batchs_answer_is_not_many_times_its_lines(topic: FakeTopic) -> None:
    lines = [HOSTILE["empty objects"], HOSTILE["one key"], HOSTILE["many values"]]
    async with (
        in_process_server(topic) as server,
        server.client.post(
            server.url + BATCH,
            data=io.BytesIO(b"\n".join(lines)),
            headers={"Content-Type": "application/x-ndjson"},
        ) as answer,
    ):
        text = await answer.read()
    assert len(text) < MOST_BYTES
    assert [each.get("truncated") for each in json.loads(text)["results"]] == [True, None, None]


def request(path: str, media_type: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


async def test_bytes_are_held_until_the_answer_is_sent_and_the_deaf_are_disconnected(
    topic: FakeTopic,
) -> None:
    body = VALID.replace(b'"x"', b'"%b"' % (b"x" * 63_000))

    async def ask_without_reading(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        with contextlib.suppress(OSError):
            while True:
                writer.write(request(VALIDATE, "application/json", body))
                await writer.drain()

    async with in_process_server(topic, 30, 2.0) as server:
        deaf = [asyncio.create_task(ask_without_reading(server.port)) for _ in range(5)]

        async def unread() -> bool:
            """Return whether all answers wait, and none is being made."""
            before = server.in_flight.body_bytes.held, server.requests
            await asyncio.sleep(0.5)
            after = server.in_flight.body_bytes.held, server.requests
            return before == after and before[0] >= 5 * len(body)

        await eventually(unread)
        assert (await server.post(VALID))[0] == 200
        await asyncio.gather(*deaf)  # they are disconnected
        await eventually(lambda: server.in_flight.body_bytes.held == 0)


async def test_a_batch_that_nobody_reads_ends(topic: FakeTopic) -> None:
    async with in_process_server(topic, 30, 0.5) as server:
        body = b"{}\n" * 80_000  # an answer of ten megabytes
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
        writer.write(request(BATCH, "application/x-ndjson", body))
        await writer.drain()
        await eventually(lambda: server.in_flight.count == 1)
        await eventually(lambda: server.in_flight.count == 0)
        assert (await server.post(VALID))[0] == 200
        del reader
        writer.transport.abort()


async def test_a_slow_reader_gets_all_of_its_answer(topic: FakeTopic) -> None:
    async with in_process_server(topic, 30, 0.5) as server:
        body = b"{}\n" * 20_000
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
        writer.write(request(BATCH, "application/x-ndjson\r\nConnection: close", body))
        await writer.drain()
        text = b""
        while part := await reader.read(100_000):
            text += part
            await asyncio.sleep(0.05)
        assert text.endswith(b"]}\r\n0\r\n\r\n")
        writer.close()
