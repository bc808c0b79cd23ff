"""`python -m ops.bench.drain COUNT`: pulls and acknowledges messages, and does nothing with them.

What is measured is the service: one stream, acknowledgements in the unary call that the workers
use, some in flight. The last line is JSON: messages and the seconds from the first message to the
last acknowledgement.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import uvloop
from google.pubsub_v1 import types

from ops.runtime import clients, process
from ops.runtime.settings import Settings

_ACKS_A_CALL: Final = 1_000
_OUTSTANDING: Final = 10_000
_LEASE_SECONDS: Final = 60


async def drain(settings: Settings, count: int) -> float:
    """Pull and acknowledge so many messages and return the seconds."""
    client = clients.subscriber(settings)
    channel: Any = client.transport.grpc_channel  # type: ignore[attr-defined]
    pull = channel.stream_stream(
        "/google.pubsub.v1.Subscriber/StreamingPull",
        request_serializer=types.StreamingPullRequest.pb().SerializeToString,
        response_deserializer=types.StreamingPullResponse.pb().FromString,
    )
    acknowledge = channel.unary_unary(
        "/google.pubsub.v1.Subscriber/Acknowledge",
        request_serializer=types.AcknowledgeRequest.pb().SerializeToString,
    )
    done = asyncio.Event()

    async def requests() -> AsyncIterator[Any]:
        yield types.StreamingPullRequest.pb()(
            subscription=settings.subscription_path,
            stream_ack_deadline_seconds=_LEASE_SECONDS,
            max_outstanding_messages=_OUTSTANDING,
        )
        await done.wait()

    async def ack(ids: list[str]) -> None:
        request = types.AcknowledgeRequest.pb()(
            subscription=settings.subscription_path, ack_ids=ids
        )
        await acknowledge(request, timeout=60)

    began = None
    pulled = 0
    ids: list[str] = []
    async with asyncio.TaskGroup() as group:
        async for response in pull(requests()):
            began = began or time.perf_counter()
            ids += [each.ack_id for each in response.received_messages]
            pulled += len(response.received_messages)
            if len(ids) >= _ACKS_A_CALL or pulled >= count:
                group.create_task(ack(ids))
                ids = []
            if pulled >= count:
                break
    ended = time.perf_counter()
    done.set()
    await clients.close(client)
    return ended - (began or ended)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ops.bench.drain", description=__doc__)
    parser.add_argument("count", type=int, help="messages to pull")
    given = parser.parse_args()
    loaded = process.settings_or_exit()
    taken = uvloop.run(drain(loaded, given.count))
    sys.stdout.write(json.dumps({"messages": given.count, "seconds": taken}) + "\n")
