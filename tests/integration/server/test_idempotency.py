"""One Idempotency-Key, one effect: through servers that share a machine, or a Redis."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from schema import lane_name, lane_of
from tests.support import redis_server
from tests.support.server_in_process import (
    INSERT,
    VALID,
    FakeTopic,
    InProcessServer,
    in_process_server,
    rpc_error,
)


def body(number: int, table: str = "t1") -> bytes:
    insert = {**INSERT, "table": table, "col_values": [number, "x"]}
    return json.dumps({"activities": [insert]}).encode()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if redis_server.REDIS is None:
        pytest.skip(redis_server.ABSENT)
    with redis_server.redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


def connection_to(topic: FakeTopic) -> FakeTopic:
    """Return a second server's way to the same topic."""
    second = FakeTopic()
    second.calls, second.errors, second.open = topic.calls, topic.errors, topic.open
    return second


@pytest.fixture(params=["machine", "redis"])
async def servers(
    request: pytest.FixtureRequest, topic: FakeTopic, tmp_path: Path
) -> AsyncIterator[list[InProcessServer]]:
    """Two servers, of one machine or of two."""
    shared = {"STATE_DIR": str(tmp_path)}
    own = [shared, shared]
    if request.param == "redis":
        store = {
            "IDEMPOTENCY_STORE": request.getfixturevalue("redis"),
            "TOPIC_ID": f"topic-{random.getrandbits(40)}",
        }
        own = [{"STATE_DIR": str(tmp_path / each), **store} for each in "ab"]
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                in_process_server(each, SPOOL_MAX_BYTES="0", **settings)
            )
            for each, settings in zip((topic, connection_to(topic)), own, strict=True)
        ]


async def answered(server: InProcessServer, data: bytes, **headers: str) -> Any:
    """Send as a client does, again after 503: on a busy machine Redis may be slower than 2 s."""
    async with asyncio.timeout(120):
        while True:
            answer = await server.post(data, **headers)
            if answer[0] != 503:
                return answer
            await asyncio.sleep(0.1)


async def test_of_two_bodies_at_the_same_instant_one_is_accepted(
    servers: list[InProcessServer], topic: FakeTopic
) -> None:
    topic.open.clear()  # none is confirmed before all have come
    requests = [
        asyncio.create_task(
            answered(
                servers[which],
                body(which, f"t{number}{which}"),
                Idempotency_Key=f"k{number}",
                Ordering_Key=f"o{number}{which}",
            )
        )
        for number in range(20)
        for which in (0, 1)
    ]
    await asyncio.sleep(0.5)
    topic.open.set()
    answers = await asyncio.gather(*requests)
    for number in range(20):
        pair = sorted(answers[2 * number : 2 * number + 2], key=lambda each: each[0])
        assert [status for status, _ in pair] == [200, 409]
        conflict = pair[1][1]
        assert (conflict["message"], conflict["id"]) == ("Idempotency Conflict", None)
        assert conflict["error"][0]["rule"] == "idempotency_key"
    assert len(topic.messages) == 20


async def test_the_same_body_gets_the_same_id_and_is_published_once(
    servers: list[InProcessServer], topic: FakeTopic
) -> None:
    answers = [
        await server.post(VALID, Idempotency_Key="k", Ordering_Key=key)
        for server in (*servers, *servers)
        for key in ("first", "second")
    ]
    assert {status for status, _ in answers} == {200}
    assert len({verdict["id"] for _, verdict in answers}) == 1
    (message,) = topic.messages
    assert message.attributes["ordering_key"] == "first"
    assert message.ordering_key == lane_name(lane_of("first"))


async def test_many_at_the_same_instant_are_published_twice_at_most(
    servers: list[InProcessServer], topic: FakeTopic
) -> None:
    topic.open.clear()
    requests = [
        asyncio.create_task(
            servers[number % 2].post(VALID, Idempotency_Key="k", Ordering_Key=f"o{number}")
        )
        for number in range(12)
    ]
    await asyncio.sleep(0.5)
    topic.open.set()
    answers = await asyncio.gather(*requests)
    assert {status for status, _ in answers} == {200}
    assert len({verdict["id"] for _, verdict in answers}) == 1
    assert 1 <= len(topic.messages) <= 2
    assert len({message.ordering_key for message in topic.messages}) == 1


async def test_a_request_that_failed_is_published_again_as_a_possible_copy(
    servers: list[InProcessServer], topic: FakeTopic
) -> None:
    topic.errors = [rpc_error(grpc.StatusCode.PERMISSION_DENIED)]
    assert (await servers[0].post(VALID, Idempotency_Key="k", Ordering_Key="first"))[0] == 503
    status, verdict = await servers[1].post(VALID, Idempotency_Key="k", Ordering_Key="second")
    assert status == 200
    (message,) = topic.messages
    assert message.attributes["copy"] == "possible"
    assert message.attributes["id"] == verdict["id"]
    assert message.attributes["ordering_key"] == "first"


async def test_a_batch_that_is_sent_again_publishes_nothing(
    servers: list[InProcessServer], topic: FakeTopic
) -> None:
    async def batch(server: InProcessServer, *lines: bytes) -> list[dict[str, Any]]:
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "file"}
        async with server.client.post(
            server.url + "/api/activities/batch", data=b"\n".join(lines), headers=headers
        ) as answer:
            results: list[dict[str, Any]] = (await answer.json())["results"]
            return results

    lines = [body(number) for number in range(30)]
    first = await batch(servers[0], *lines)
    again = await batch(servers[1], *lines[:29], body(0))
    assert {each["status"] for each in first} == {200}
    assert [each["id"] for each in again[:29]] == [each["id"] for each in first[:29]]
    assert again[29]["status"] == 409
    assert len(topic.messages) == 30


async def test_without_its_registry_a_server_takes_no_request_with_a_key(
    topic: FakeTopic, tmp_path: Path
) -> None:
    (tmp_path / "idempotency").write_text("no folder")
    async with in_process_server(topic, STATE_DIR=str(tmp_path)) as server:
        status, verdict = await server.post(VALID, Idempotency_Key="k")
        assert (status, verdict["message"]) == (503, "Unavailable")
        assert (await server.post(VALID))[0] == 200
    assert len(topic.messages) == 1


async def test_a_client_that_leaves_early_finds_its_key(
    servers: list[InProcessServer], topic: FakeTopic
) -> None:
    topic.open.clear()
    gone = asyncio.create_task(servers[0].post(VALID, Idempotency_Key="k"))
    await asyncio.sleep(0.3)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    topic.open.set()
    assert (await servers[1].post(body(2), Idempotency_Key="k"))[0] == 409
    assert (await servers[1].post(VALID, Idempotency_Key="k"))[0] == 200
    assert {message.data for message in topic.messages} == {VALID}
    assert len(topic.messages) <= 2
