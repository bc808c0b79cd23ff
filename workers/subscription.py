"""The subscription: a StreamingPull kept open, leases kept alive, acks and nacks.

The generated async client delivers as many messages of an ordering key as flow control allows, in
order and before any ack; keeping the leases is therefore ours. When a stream breaks, messages
that no one has taken from the inbox yet are nacked and dropped: Pub/Sub delivers them again, to
whichever worker then holds their key, and applying our copies too would break the key's order.
All but copies of what is being worked on: Pub/Sub may deliver a message twice, and a nack of one
delivery would let another worker commit the message at the same time.
"""

import asyncio
import contextlib
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.protobuf.timestamp_pb2 import Timestamp
from google.pubsub_v1 import StreamingPullRequest, StreamingPullResponse, SubscriberAsyncClient

from ops.runtime import log, metrics
from ops.runtime.retry import policy
from ops.runtime.warehouse_errors import is_transient_rpc
from workers.lane_queues import Delivery, LaneQueues

ACK_IDS_A_REQUEST = 2_500
"""A request holds 512 KiB, an ack id up to some 200 bytes: https://cloud.google.com/pubsub/quotas."""
EXTEND_AFTER = 1 / 3
"""The share of a lease after which it is extended: two more tries fit in before it runs out."""
LONGEST_RECONNECT_SECONDS = 2.0
NACK_AGAIN_SECONDS = 0.5
LEAVING_SECONDS = 2.0
"""How long a leaving worker tries to give back what Pub/Sub takes back by itself in time."""
UNARY_SECONDS = 5.0
"""For one ack or lease request; a retry is cheaper than a long wait."""

logger = log.get(__name__)


@dataclass(eq=False)
class Subscription:
    """Deliveries of one subscription, put into the lanes' queues."""

    client: SubscriberAsyncClient
    path: str
    queues: LaneQueues
    _: KW_ONLY
    lease_seconds: int
    max_messages: int
    max_bytes: int
    _outstanding: dict[str, Delivery] = field(default_factory=dict, init=False)
    _copies: dict[str, list[Delivery]] = field(default_factory=dict, init=False)
    """Of messages being worked on, by message id: leased too, and acked with them."""
    _stream: asyncio.Task[None] | None = field(default=None, init=False)
    _all_back: bool = field(default=False, init=False)

    @contextlib.asynccontextmanager
    async def leasing(self) -> AsyncIterator[None]:
        """Keep the leases of all outstanding messages alive while the block runs."""
        task = asyncio.create_task(self._extend_forever(), name="leases")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def pull_forever(self) -> None:
        """Fill the queues from a stream that is opened again whenever it breaks."""
        wait = 0.1
        while True:
            opened = time.monotonic()
            error = await self._stream_until_broken()
            metrics.STREAM_FAILURES.inc()
            logger.warning("stream_broke", error=error, outstanding=len(self._outstanding))
            await self._give_back_surely(self._returning())
            lasted = time.monotonic() - opened > LONGEST_RECONNECT_SECONDS
            wait = 0.1 if lasted else min(wait * 2, LONGEST_RECONNECT_SECONDS)
            await asyncio.sleep(wait)

    async def _stream_until_broken(self) -> str:
        """Pull until the stream ends, and return why it did."""
        self._stream = asyncio.create_task(self._pull(), name="stream")
        try:
            await asyncio.wait([self._stream])
        finally:
            self._stream.cancel()  # if this is
        if self._stream.cancelled():
            return "started over"
        try:
            self._stream.result()
        except grpc.aio.AioRpcError as failure:
            return f"{failure.code().name}: {failure.details()}"
        return "closed by the service"

    def start_over(self) -> None:
        """Break the stream, give back all that is outstanding, and open another.

        For a batch that is given up: what the stream has brought behind it must not overtake it.
        """
        self.queues.drain()
        self._all_back = True
        if self._stream:
            self._stream.cancel()

    def _returning(self) -> list[Delivery]:
        """Return what goes back as the stream is broken."""
        drained = self.queues.drain()
        if not self._all_back:
            return self._without_copies(drained)
        self._all_back = False
        self._copies.clear()
        return list(self._outstanding.values())

    async def _pull(self) -> None:
        finished = asyncio.Event()

        async def requests() -> AsyncIterator[StreamingPullRequest]:
            yield StreamingPullRequest(
                subscription=self.path,
                stream_ack_deadline_seconds=self.lease_seconds,
                # A new id for each stream. With the same id, the keys of a broken stream would
                # pass to this stream immediately, with messages that follow those lost on the way.
                # The lost ones come back when their leases end, too late to be applied in order.
                client_id=uuid.uuid4().hex,
                max_outstanding_messages=self.max_messages,
                max_outstanding_bytes=self.max_bytes,
            )
            await finished.wait()  # the stream lives as long as its requests do

        try:
            # The transport's own method: the client's around it retries by itself, and waits for
            # ever when the service cannot be reached at that moment.
            streaming_pull: Any = self.client.transport.streaming_pull  # annotated as unary
            async for response in streaming_pull(requests()):
                # The raw message: proto-plus wrappers cost more than the whole fold.
                received = StreamingPullResponse.pb(response).received_messages
                self._take([self._delivery(message) for message in received])
        finally:
            finished.set()

    def _delivery(self, received: Any) -> Delivery:
        message = received.message
        attributes, published = message.attributes, message.publish_time
        return Delivery(
            ack_id=received.ack_id,
            message_id=message.message_id,
            data=message.data,
            # `dict` goes through a map's abstract methods, which takes twice as long.
            attributes={name: attributes[name] for name in attributes},
            ordering_key=message.ordering_key,
            publish_time=_text(published.seconds, published.nanos),
            lease_until=time.monotonic() + self.lease_seconds,
        )

    def _take(self, deliveries: list[Delivery]) -> None:
        metrics.PULLED.inc(len(deliveries))
        self._outstanding |= {delivery.ack_id: delivery for delivery in deliveries}
        metrics.LEASES.set(len(self._outstanding))
        self.queues.put(deliveries)

    def _release(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._outstanding.pop(delivery.ack_id, None)
        metrics.LEASES.set(len(self._outstanding))

    def _without_copies(self, drained: list[Delivery]) -> list[Delivery]:
        """Return those that may be nacked; the others are kept until their original is settled."""
        waiting = {delivery.ack_id for delivery in drained}
        worked_on = {
            delivery.message_id
            for ack_id, delivery in self._outstanding.items()
            if ack_id not in waiting
        }
        for delivery in drained:
            if delivery.message_id in worked_on:
                self._copies.setdefault(delivery.message_id, []).append(delivery)
        return [delivery for delivery in drained if delivery.message_id not in worked_on]

    async def ack(self, deliveries: list[Delivery]) -> None:
        """Acknowledge. A failure causes a redelivery, which the ledger recognises."""
        if self._copies:
            copies = [self._copies.pop(each.message_id, []) for each in deliveries]
            deliveries = [*deliveries, *itertools.chain.from_iterable(copies)]
        self._release(deliveries)
        await self._call("ack", self.client.acknowledge, deliveries)

    async def _give_back_surely(self, deliveries: list[Delivery]) -> None:
        """Return when Pub/Sub has them back: by a nack, or as their leases have run out.

        A new stream before that may bring later messages of the same keys, which must not overtake.
        """
        self._release(deliveries)
        while not await self._modify(deliveries, 0):
            if all(delivery.lost for delivery in deliveries):
                return
            await asyncio.sleep(NACK_AGAIN_SECONDS)

    async def give_all_back(self) -> None:
        """Nack all that is outstanding, for a worker that is leaving, or takes nothing more.

        If Pub/Sub cannot be reached now, it has them back when their leases end.
        """
        self.queues.drain()
        self._copies.clear()
        outstanding = list(self._outstanding.values())
        self._release(outstanding)
        await self._modify(outstanding, 0, LEAVING_SECONDS)

    async def _modify(
        self, deliveries: list[Delivery], seconds: int, patience: float | None = None
    ) -> bool:
        call = partial(self.client.modify_ack_deadline, ack_deadline_seconds=seconds)
        return await self._call("lease", call, deliveries, patience)

    async def _call(
        self, cause: str, call: Any, deliveries: list[Delivery], patience: float | None = None
    ) -> bool:
        """Call for all deliveries; return whether every request was answered."""
        seconds = patience or self.lease_seconds / 3
        done = True
        for some in itertools.batched(deliveries, ACK_IDS_A_REQUEST, strict=False):
            retrying = policy(cause, is_transient_rpc, attempts=5, seconds=seconds)
            ack_ids = [delivery.ack_id for delivery in some]
            try:
                await retrying(
                    call, subscription=self.path, ack_ids=ack_ids, retry=None, timeout=UNARY_SECONDS
                )
            except GoogleAPICallError as error:
                logger.warning("subscription_call_failed", call=cause, error=str(error))
                done = False
        return done

    async def _extend_forever(self) -> None:
        while True:
            await asyncio.sleep(self.lease_seconds * EXTEND_AFTER)
            await self._extend()

    async def _extend(self) -> None:
        """Extend every lease still held; one that has run out is not ours to extend.

        Nor is one that ran out before the answer: Pub/Sub says yes to a lease that it has given to
        another worker in between.
        """
        held = [delivery for delivery in self._outstanding.values() if not delivery.lost]
        asked_at = time.monotonic()  # the service counts from when it hears, which is later
        if held and await self._modify(held, self.lease_seconds):
            metrics.LEASE_EXTENSIONS.inc(len(held))
            for delivery in held:
                if not delivery.lost:
                    delivery.lease_until = asked_at + self.lease_seconds


@lru_cache(1_024)  # the messages of one Publish call share theirs
def _text(seconds: int, nanos: int) -> str:
    """Return a Timestamp as ISO 8601 text."""
    moment: datetime = Timestamp(seconds=seconds, nanos=nanos).ToDatetime(UTC)
    return moment.isoformat()
