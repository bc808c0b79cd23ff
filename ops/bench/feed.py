"""`python -m ops.bench.feed COUNT`: publishes transactions to the topic, past the server.

Each deletes the rows of one id of a table and inserts one anew. Requests are made and serialized
beforehand, so that what is measured is the service. The last line is JSON: messages and seconds.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import uvloop
from google.pubsub_v1 import types

import schema
from ops.rig import RunFailed
from ops.rig.environment import REQUEST_SECONDS, Environment
from ops.rig.transaction_mix import TransactionMix
from ops.runtime import clients, process
from ops.runtime.settings import Settings
from schema import Transaction

_IN_FLIGHT: Final = 8
_BODIES: Final = 2_000  # different ones a table, at the most


def feed(environment: Environment, count: int, *options: str, cores: Collection[int] = ()) -> None:
    """Publish `count` transactions of two activities each, in a process of its own."""
    with environment.process(
        "feed", "ops.bench.feed", str(count), *options, cores=cores
    ) as feeding:
        if feeding.wait(REQUEST_SECONDS + count / 500):
            raise RunFailed(f"feeding failed:\n{feeding.end_of_output}")


def tables(count: int) -> tuple[str, ...]:
    """Name so many tables."""
    return tuple(f"bench_{number:02}" for number in range(count))


def bodies(names: tuple[str, ...], count: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield (table, body) in turn over the tables."""
    mix = TransactionMix(names, seed)
    different = max(min(count, _BODIES * len(names)), 1)
    made = [
        (table, json.dumps(mix.replaced(table)).encode())
        for number in range(different)
        for table in (names[number % len(names)],)
    ]
    for number in range(count):
        yield made[number % different]


def message(table: str, body: bytes) -> Any:
    """Make the Pub/Sub message of a transaction as the server does, under a new id."""
    composed = schema.compose_message(
        body,
        Transaction(()),
        id=schema.new_id(),
        source="bench",
        received_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        ordering_key=table,
    )
    return types.PubsubMessage.pb()(data=body, attributes=composed.attributes, ordering_key=table)


def requests(topic: str, count: int, names: tuple[str, ...], a_call: int) -> Iterator[bytes]:
    """Yield serialized Publish requests, each of one ordering key.

    The first message of each table only inserts, so that the others have a table to delete from.
    """
    mix = TransactionMix(names)
    by_table: dict[str, list[Any]] = {
        name: [message(name, json.dumps({"activities": [mix.insert(name)]}).encode())]
        for name in names
    }
    count -= len(names)
    for table, body in bodies(names, count):
        by_table[table].append(message(table, body))
    request = types.PublishRequest.pb()
    parts = {
        name: list(schema.publish_calls(held, lambda each: each.ByteSize(), a_call))
        for name, held in by_table.items()
    }
    for turn in range(max(map(len, parts.values()))):
        for calls in parts.values():
            if turn < len(calls):
                yield request(topic=topic, messages=calls[turn]).SerializeToString()


async def publish(settings: Settings, ready: list[bytes]) -> float:
    """Send every request, a few at a time, and return the seconds until all are confirmed."""
    client = clients.publisher(settings)
    channel: Any = client.transport.grpc_channel  # type: ignore[attr-defined]
    call = channel.unary_unary("/google.pubsub.v1.Publisher/Publish")
    await channel.channel_ready()
    left = iter(ready)
    began = time.perf_counter()

    async def send() -> None:
        for request in left:
            await call(request, timeout=60)

    async with asyncio.TaskGroup() as group:
        for _ in range(_IN_FLIGHT):
            group.create_task(send())
    seconds = time.perf_counter() - began
    await clients.close(client)
    return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ops.bench.feed", description=__doc__)
    parser.add_argument("count", type=int, help="messages to publish")
    parser.add_argument("--tables", type=int, default=4, help="over so many tables (%(default)s)")
    parser.add_argument("--a-call", type=int, default=500, help="messages a call (%(default)s)")
    given = parser.parse_args()
    loaded = process.settings_or_exit()
    made = list(requests(loaded.topic_path, given.count, tables(given.tables), given.a_call))
    taken = uvloop.run(publish(loaded, made))
    sys.stdout.write(json.dumps({"messages": given.count, "seconds": taken}) + "\n")
