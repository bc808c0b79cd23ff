"""A live subscription: its schedule, driven by the event loop, and the store behind it."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ops.local.pubsub import messages
from ops.local.pubsub.body_cache import BodyCache
from ops.local.pubsub.delivery_policy import DeliveryPolicy
from ops.local.pubsub.delivery_schedule import DeliverySchedule
from ops.local.pubsub.leases import Consumer, Lease
from ops.local.pubsub.message_store import MessageRow, MessageStore
from ops.local.pubsub.status_errors import StatusError

# One response: enough messages to make calls cheap, few enough for a client's 4 MB default.
_RESPONSE_MESSAGES = 1_000
_RESPONSE_BYTES = 1_000_000
_LOAD_ROWS = 20_000


class LiveSubscription:
    """One subscription. All calls are made on the loop."""

    def __init__(
        self, subscription_id: int, config: Any, store: MessageStore, bodies: BodyCache
    ) -> None:
        self.id = subscription_id
        self.config = config
        self.schedule = DeliverySchedule(DeliveryPolicy.of(config), store.first_token)
        self._store = store
        self._bodies = bodies
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ended: StatusError | None = None
        self._unwritten: set[int] = set()  # acknowledged, but the write to disk failed

    async def load(self) -> None:
        """Add the messages that the store holds for it."""
        now = self._loop.time()
        last = 0
        while rows := await self._store.unacked(self.id, last, _LOAD_ROWS):
            for seq, size, key in rows:
                self.schedule.add(seq, size, key, now)
            last = rows[-1][0]

    def configure(self, config: Any) -> None:
        """Apply a changed configuration; running leases keep their deadlines."""
        self.config = config
        self.schedule.policy = DeliveryPolicy.of(config)

    def end(self, reason: StatusError) -> None:
        """Fail every call from now on, those that wait too."""
        self._ended = reason
        if self._timer is not None:
            self._timer.cancel()
        for consumer in self.schedule.consumers(with_room=False):
            consumer.wake.set()

    # Delivery

    def offer(self, rows: Sequence[MessageRow]) -> None:
        """Add messages that the store has committed."""
        now = self._loop.time()
        for row in rows:
            self.schedule.add(row.seq, len(row.body), row.key, now)
        self._wake_consumers()

    @contextmanager
    def attached(self, consumer: Consumer) -> Iterator[Consumer]:
        """Attach a consumer for the length of the block."""
        self.schedule.attach(consumer, self._loop.time())
        try:
            yield consumer
        finally:
            self.schedule.detach(consumer)

    async def next_messages(
        self,
        consumer: Consumer,
        limit: int = _RESPONSE_MESSAGES,
        patience: float | None = None,
    ) -> list[Any]:
        """Return leased ReceivedMessages; an empty list after `patience` seconds without any.

        Raises `StatusError` when the subscription ends.
        """
        give_up = None if patience is None else self._loop.time() + patience
        limit = min(limit, _RESPONSE_MESSAGES)
        while True:
            if self._ended is not None:
                raise self._ended
            consumer.wake.clear()
            now = self._loop.time()
            if leases := self.schedule.take(consumer, now, limit, _RESPONSE_BYTES):
                self._reschedule()
                if ready := await self._received(leases):
                    return ready
            elif give_up is not None and now >= give_up:
                return []
            else:
                # Only the wait may be cut short: leased messages must reach the client.
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(give_up):
                        await consumer.wake.wait()

    async def _received(self, leases: list[Lease]) -> list[Any]:
        bodies = await self._bodies.read([lease.seq for lease in leases])
        return list(messages.received(self.id, leases, bodies))

    # Acknowledgements

    async def ack(self, ack_ids: Sequence[str]) -> None:
        """Remove messages; returns when that is on disk."""
        given = [messages.parse_ack_id(self.id, ack_id) for ack_id in ack_ids]
        acked = self.schedule.ack(given, self._loop.time())
        if acked:
            self._wake_consumers()
        # Also those of a failed write: its client acks again, and needs an honest answer.
        seqs = {*acked, *self._unwritten}
        if not seqs:
            return
        try:
            await self._store.ack(self.id, list(seqs))
        except sqlite3.Error:
            self._unwritten |= seqs
            raise
        self._unwritten -= seqs

    def modify(self, deadlines: Sequence[tuple[str, int]]) -> None:
        """End each lease this many seconds from now; 0 gives the message back immediately."""
        now = self._loop.time()
        given = [(messages.parse_ack_id(self.id, ack_id), s) for ack_id, s in deadlines]
        self.schedule.extend(((x, seconds) for x, seconds in given if seconds), now)
        if nacked := [x for x, seconds in given if not seconds]:
            self.schedule.nack(nacked, now)
            self._wake_consumers()
        self._reschedule()

    def drop_through(self, seq: int) -> asyncio.Future[None]:
        """Remove every message up to and including `seq`."""
        self.schedule.drop_through(seq, self._loop.time())
        self._wake_consumers()
        return self._store.drop_through(self.id, seq)

    # Time

    def _wake_consumers(self) -> None:
        """Wake the consumers with room, and set the timer for the next event."""
        if self._ended is None:
            for consumer in self.schedule.consumers():
                consumer.wake.set()
            self._reschedule()

    def _reschedule(self) -> None:
        due = self.schedule.next_event()
        if self._timer is not None and (due is None or self._timer.when() > due):
            self._timer.cancel()
            self._timer = None
        if due is not None and self._timer is None and self._ended is None:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.schedule.expire(self._loop.time())
        self._wake_consumers()
