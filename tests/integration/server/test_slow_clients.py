"""Clients that send slowly or stop: they cost the others nothing, and time out."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.support.server_in_process import VALID, FakeTopic, InProcessServer, in_process_server

HEAD = (
    b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/%b\r\n"
    b"Content-Length: %d\r\n\r\n"
)


@pytest.fixture
async def impatient(topic: FakeTopic) -> AsyncIterator[InProcessServer]:
    async with in_process_server(topic, 0.3) as server:
        yield server


async def test_a_body_that_does_not_come_is_timed_out_and_the_connection_closed(
    impatient: InProcessServer,
) -> None:
    answer = await impatient.raw(HEAD % (b"/api/activities", b"json", len(VALID)) + VALID[:-1])
    head, _, verdict = answer.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 408")
    assert json.loads(verdict)["message"] == "Request Timeout"
    assert impatient.topic.messages == []


async def test_a_line_of_a_batch_that_does_not_come_ends_its_results(
    impatient: InProcessServer,
) -> None:
    answer = await impatient.raw(
        HEAD % (b"/api/activities/batch", b"x-ndjson", 1_000) + VALID + b"\n" + VALID[:9]
    )
    statuses = [b'"status": 200', b'"status": 408']
    assert all(status in answer for status in statuses)
    assert b'"accepted": 1' in answer
    assert len(impatient.topic.messages) == 1


async def test_many_slow_clients_take_no_place_from_the_others(server: InProcessServer) -> None:
    slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(60)]
    for _, writer in slow:
        writer.write(HEAD % (b"/api/activities", b"json", len(VALID)) + VALID[:1])

    assert (await server.post(VALID))[0] == 200
    for _, writer in slow:
        writer.write(VALID[1:])
    for reader, _ in slow:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith((b"HTTP/1.1 200", b"HTTP/1.1 503"))
    for _, writer in slow:
        writer.close()
