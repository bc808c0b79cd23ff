"""A client of a Pub/Sub server, through Google's generated async clients."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

from ops.rig import Service
from ops.runtime.clients import NO_PROXY

PROJECT = "projects/contract"
LEASE_SECONDS = 60
_CALL_SECONDS = 20
_numbers = itertools.count(1)


class Stream:
    """One StreamingPull, read in the background into `received`."""

    def __init__(self, first: types.StreamingPullRequest) -> None:
        self.received: list[types.ReceivedMessage] = []
        self.responses = 0
        self._requests: asyncio.Queue[types.StreamingPullRequest] = asyncio.Queue()
        self._requests.put_nowait(first)
        self._news = asyncio.Event()
        self.error: Exception | None = None

    async def requests(self) -> AsyncIterator[types.StreamingPullRequest]:
        while True:
            yield await self._requests.get()

    async def read(self, call: Any) -> None:
        try:
            async for response in call:
                self.responses += 1
                self.received.extend(response.received_messages)
                self._news.set()
        except Exception as error:  # noqa: BLE001 - the test checks it
            self.error = error
        self._news.set()

    async def receive(self, count: int, within: float = 15) -> list[types.ReceivedMessage]:
        """Wait until `count` messages have come in total, and return all that have come."""

        async def enough() -> None:
            while len(self.received) < count and self.error is None:
                self._news.clear()
                await self._news.wait()

        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(enough(), within)
        if self.error is not None:
            raise self.error
        assert len(self.received) >= count, f"{len(self.received)} of {count} in {within} s"
        return list(self.received)

    def ack(self, messages: Iterable[types.ReceivedMessage]) -> None:
        ids = [message.ack_id for message in messages]
        self._requests.put_nowait(types.StreamingPullRequest(ack_ids=ids))

    def modify(self, messages: Iterable[types.ReceivedMessage], seconds: int) -> None:
        ids = [message.ack_id for message in messages]
        self._requests.put_nowait(
            types.StreamingPullRequest(
                modify_deadline_ack_ids=ids, modify_deadline_seconds=[seconds] * len(ids)
            )
        )

    def nack(self, messages: Iterable[types.ReceivedMessage]) -> None:
        self.modify(messages, 0)


class Client:
    """A channel to one server; made inside the running loop."""

    def __init__(self, address: str) -> None:
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            NO_PROXY,
        ]
        self.channel = grpc.aio.insecure_channel(address, options)
        publisher = PublisherGrpcAsyncIOTransport(channel=self.channel)
        subscriber = SubscriberGrpcAsyncIOTransport(channel=self.channel)
        self.publisher = PublisherAsyncClient(transport=publisher)
        self.subscriber = SubscriberAsyncClient(transport=subscriber)

    async def topic(self) -> str:
        """Create a topic with a unique name."""
        name = f"{PROJECT}/topics/topic-{next(_numbers)}"
        await self.publisher.create_topic(name=name, timeout=_CALL_SECONDS)
        return name

    async def subscription(self, topic: str, **config: Any) -> str:
        """Create a subscription with a unique name."""
        name = f"{PROJECT}/subscriptions/subscription-{next(_numbers)}"
        request = types.Subscription(
            name=name, topic=topic, **{"ack_deadline_seconds": LEASE_SECONDS, **config}
        )
        await self.subscriber.create_subscription(request=request, timeout=_CALL_SECONDS)
        return name

    async def subscribed_topic(self, **config: Any) -> tuple[str, str]:
        topic = await self.topic()
        return topic, await self.subscription(topic, **config)

    async def publish(self, topic: str, texts: Iterable[str], key: str = "") -> list[str]:
        """Publish texts in requests of at most 1,000; return the message ids."""
        ids: list[str] = []
        for some in itertools.batched(texts, 1000, strict=False):
            messages = [types.PubsubMessage(data=x.encode(), ordering_key=key) for x in some]
            ids += (await self.publish_messages(topic, messages)).message_ids
        return ids

    async def publish_messages(
        self, topic: str, messages: Sequence[types.PubsubMessage]
    ) -> types.PublishResponse:
        return await self.publisher.publish(
            topic=topic, messages=list(messages), retry=None, timeout=_CALL_SECONDS
        )

    async def pull(
        self, subscription: str, count: int, within: float = 15
    ) -> list[types.ReceivedMessage]:
        """Pull until `count` messages have come."""
        received: list[types.ReceivedMessage] = []
        async with asyncio.timeout(within):
            while len(received) < count:
                received += await self.pull_now(subscription, count - len(received))
                await asyncio.sleep(0.02)
        return received

    async def pull_now(self, subscription: str, count: int = 100) -> list[types.ReceivedMessage]:
        """Pull the messages that are available."""
        request = types.PullRequest(
            subscription=subscription, max_messages=count, return_immediately=True
        )
        # Not the client's method, which warns about `return_immediately`.
        pull: Any = self.subscriber.transport.pull
        answer = await pull(request, timeout=_CALL_SECONDS)
        return list(answer.received_messages)

    async def ack(self, subscription: str, messages: Iterable[types.ReceivedMessage]) -> None:
        ids = [message.ack_id for message in messages]
        await self.subscriber.acknowledge(
            subscription=subscription, ack_ids=ids, timeout=_CALL_SECONDS
        )

    async def modify(
        self, subscription: str, messages: Iterable[types.ReceivedMessage], seconds: int
    ) -> None:
        ids = [message.ack_id for message in messages]
        await self.subscriber.modify_ack_deadline(
            subscription=subscription,
            ack_ids=ids,
            ack_deadline_seconds=seconds,
            timeout=_CALL_SECONDS,
        )

    @contextlib.asynccontextmanager
    async def stream(
        self,
        subscription: str,
        *,
        lease_seconds: int = LEASE_SECONDS,
        max_messages: int = 0,
        max_bytes: int = 0,
        client_id: str = "",
    ) -> AsyncIterator[Stream]:
        """Hold a StreamingPull open for the length of the block, then cut it."""
        stream = Stream(
            types.StreamingPullRequest(
                subscription=subscription,
                stream_ack_deadline_seconds=lease_seconds,
                max_outstanding_messages=max_messages,
                max_outstanding_bytes=max_bytes,
                client_id=client_id,
            )
        )
        # On a channel that cannot connect, the generated client would wait here forever.
        await asyncio.wait_for(self.channel.channel_ready(), _CALL_SECONDS)
        call: Any = await self.subscriber.streaming_pull(stream.requests())
        reading = asyncio.create_task(stream.read(call))
        try:
            yield stream
        finally:
            call.cancel()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def local_server(directory: Path, port: int) -> Service:
    """Return our server, not yet started, with its database below `directory`."""
    variables = {"PUBSUB_EMULATOR_HOST": f"127.0.0.1:{port}", "STATE_DIR": str(directory)}
    return Service.module("ops.local.pubsub", PROJECT_ID="", **variables)


def texts(messages: Iterable[types.ReceivedMessage]) -> list[str]:
    return [message.message.data.decode() for message in messages]
