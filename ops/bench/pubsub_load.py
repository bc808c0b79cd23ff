"""Publishes transactions past the server, and pulls and acks messages without applying them.

Requests are serialized beforehand and sent over bare gRPC, so the figures are the service's.
"""

import asyncio
import functools
import itertools
import json
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import grpc
import uvloop
from google.pubsub_v1 import types

import schema
from ops.rig import RunFailed
from ops.rig.transaction_mix import TransactionMix
from ops.runtime import clients
from ops.runtime.settings import Settings

_PUBLISH_CALLS: Final = 8
"""Calls under way."""
_CALL_SECONDS: Final = 60
_MIN_RATE: Final = 500
"""Messages a second; a run below it fails."""
_BODIES_A_TABLE: Final = 2_000
"""Different bodies; after them the same ones come again, with new ids."""
_ACKS_A_CALL: Final = 1_000
_OUTSTANDING: Final = 10_000
_LEASE_SECONDS: Final = 60


@functools.cache
def table_names(count: int) -> tuple[str, ...]:
    """Return names of tables, each in another lane until every lane has one, and so on."""
    names: list[str] = []
    lanes: set[int] = set()
    for number in itertools.count():
        if len(names) == count:
            break
        name = f"bench_{number:02}"
        if schema.lane_of(name) not in lanes:
            names.append(name)
            lanes.add(schema.lane_of(name))
            if len(lanes) == schema.LANES:
                lanes.clear()
    return tuple(names)


def bodies(tables: tuple[str, ...], count: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` times (table, body), the tables in turn; each body deletes and inserts."""
    mix = TransactionMix(tables, seed=1)
    different = max(min(count, _BODIES_A_TABLE * len(tables)), 1)
    made = []
    for number in range(different):
        table = tables[number % len(tables)]
        made.append((table, json.dumps(mix.replaced(table)).encode()))
    for number in range(count):
        yield made[number % different]


def _message(table: str, body: bytes) -> Any:
    composed = schema.compose_message(
        body,
        id=schema.new_id(table),
        source="bench",
        received_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        ordering_key=table,
    )
    lane = schema.lane_name(composed.lane)
    return types.PubsubMessage.pb()(data=body, attributes=composed.attributes, ordering_key=lane)


def publish_requests(topic: str, count: int, tables: tuple[str, ...], a_call: int) -> list[bytes]:
    """Return serialized Publish requests, each of one ordering key, the keys in turn.

    The first message of each table only inserts, so that the others have a table to delete from.
    """
    mix = TransactionMix(tables)
    by_table: dict[str, list[Any]] = {
        name: [_message(name, json.dumps({"activities": [mix.insert(name)]}).encode())]
        for name in tables
    }
    for table, body in bodies(tables, count - len(tables)):
        by_table[table].append(_message(table, body))
    request = types.PublishRequest.pb()
    calls = (
        schema.publish_calls(messages, lambda each: each.ByteSize(), a_call)
        for messages in by_table.values()
    )
    return [
        request(topic=topic, messages=messages).SerializeToString()
        for turn in itertools.zip_longest(*calls)
        for messages in turn
        if messages
    ]


def publish(settings: Settings, count: int, tables: int = 4, a_call: int = 500) -> float:
    """Publish transactions of two activities and return the seconds until all are confirmed."""
    made = publish_requests(settings.topic_path, count, table_names(tables), a_call)
    return _run(_publish(settings, made), count)


def _run(work: Coroutine[Any, Any, float], messages: int) -> float:
    limit = _CALL_SECONDS + messages / _MIN_RATE
    try:
        return uvloop.run(asyncio.wait_for(work, limit))
    except (TimeoutError, grpc.RpcError, ExceptionGroup) as error:
        raise RunFailed(f"{messages:,} messages, at most {limit:g} s: {error!r}") from error


async def _publish(settings: Settings, requests: list[bytes]) -> float:
    client = clients.publisher(settings)
    channel: Any = client.transport.grpc_channel  # type: ignore[attr-defined]
    call = channel.unary_unary("/google.pubsub.v1.Publisher/Publish")
    await channel.channel_ready()
    left = iter(requests)
    began = time.perf_counter()

    async def send() -> None:
        for request in left:
            await call(request, timeout=_CALL_SECONDS)

    async with asyncio.TaskGroup() as group:
        for _ in range(_PUBLISH_CALLS):
            group.create_task(send())
    seconds = time.perf_counter() - began
    await clients.close(client)
    return seconds


def pull_and_ack(settings: Settings, count: int) -> float:
    """Pull and ack `count` messages; return the seconds from the first pull to the last ack."""
    return _run(_pull_and_ack(settings, count), count)


async def _pull_and_ack(settings: Settings, count: int) -> float:
    client = clients.subscriber(settings)
    channel: Any = client.transport.grpc_channel  # type: ignore[attr-defined]
    done = asyncio.Event()
    began = None
    ids: list[str] = []
    left = count
    async with asyncio.TaskGroup() as group:
        async for response in _pull(channel, settings.subscription_path, done):
            began = began or time.perf_counter()
            ids += [each.ack_id for each in response.received_messages]
            left -= len(response.received_messages)
            if len(ids) >= _ACKS_A_CALL or left <= 0:
                group.create_task(_ack(channel, settings.subscription_path, ids))
                ids = []
            if left <= 0:
                break
    ended = time.perf_counter()
    done.set()
    await clients.close(client)
    return ended - (began or ended)


def _pull(channel: Any, subscription: str, done: asyncio.Event) -> Any:
    call = channel.stream_stream(
        "/google.pubsub.v1.Subscriber/StreamingPull",
        request_serializer=types.StreamingPullRequest.pb().SerializeToString,
        response_deserializer=types.StreamingPullResponse.pb().FromString,
    )

    async def requests() -> AsyncIterator[Any]:
        yield types.StreamingPullRequest.pb()(
            subscription=subscription,
            stream_ack_deadline_seconds=_LEASE_SECONDS,
            max_outstanding_messages=_OUTSTANDING,
        )
        await done.wait()

    return call(requests())


async def _ack(channel: Any, subscription: str, ids: list[str]) -> None:
    call = channel.unary_unary(
        "/google.pubsub.v1.Subscriber/Acknowledge",
        request_serializer=types.AcknowledgeRequest.pb().SerializeToString,
    )
    request = types.AcknowledgeRequest.pb()(subscription=subscription, ack_ids=ids)
    await call(request, timeout=_CALL_SECONDS)
