"""Publishes transactions past the server.

Requests are serialized beforehand and sent over bare gRPC, so that a large backlog is made fast.
"""

import asyncio
import functools
import itertools
import json
from collections.abc import Iterator
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


def publish(settings: Settings, count: int, tables: int, a_call: int = 500) -> None:
    """Publish transactions of two activities; return when all are confirmed."""
    made = publish_requests(settings.topic_path, count, table_names(tables), a_call)
    limit = _CALL_SECONDS + count / _MIN_RATE
    try:
        uvloop.run(asyncio.wait_for(_publish(settings, made), limit))
    except (TimeoutError, grpc.RpcError, ExceptionGroup) as error:
        raise RunFailed(f"{count:,} messages, at most {limit:g} s: {error!r}") from error


async def _publish(settings: Settings, requests: list[bytes]) -> None:
    client = clients.publisher(settings)
    channel: Any = client.transport.grpc_channel  # type: ignore[attr-defined]
    call = channel.unary_unary("/google.pubsub.v1.Publisher/Publish")
    await channel.channel_ready()
    left = iter(requests)

    async def send() -> None:
        for request in left:
            await call(request, timeout=_CALL_SECONDS)

    async with asyncio.TaskGroup() as group:
        for _ in range(_PUBLISH_CALLS):
            group.create_task(send())
    await clients.close(client)
