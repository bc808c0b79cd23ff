"""A live subscription: its schedule, driven by the loop and written through to the store."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ops.local.pubsub import messages, rules
from ops.local.pubsub.bodies import Bodies
from ops.local.pubsub.delivery import Delivery
from ops.local.pubsub.leases import Consumer, Lease
from ops.local.pubsub.refusals import Refused
from ops.local.pubsub.store import Row, Store

# One response: enough messages to make calls cheap, few enough for a client's 4 MB default.
_RESPONSE_MESSAGES = 1_000
_RESPONSE_BYTES = 1_000_000
_LOAD_ROWS = 20_000

type Forward = Callable[["Subscription", list[tuple[int, int]]], None]


class Subscription:
    """One subscription. All calls are made on the loop; `forward` starts dead-lettering."""

    def __init__(  # noqa: PLR0913 - what a subscription is made of
        self,
        subscription_id: int,
        config: Any,
        *,
        store: Store,
        bodies: Bodies,
        forward: Forward,
        first_token: int,
    ) -> None:
        self.id = subscription_id
        self.config = config
        self.delivery = Delivery(rules.policy_of(config), first_token)
        self._store = store
        self._bodies = bodies
        self._forward = forward
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ended: Refused | None = None
        self._unsettled: set[int] = set()  # acknowledged, and the disk would not have it

    @property
    def name(self) -> str:
        """The subscription's path."""
        return str(self.config.name)

    async def load(self) -> None:
        """Take in what the store holds for it."""
        now = self._loop.time()
        last = 0
        while rows := await self._store.unacked(self.id, last, _LOAD_ROWS):
            for seq, size, key, failures in rows:
                self.delivery.add(seq, size, key, now, failures)
            last = rows[-1][0]

    def configure(self, config: Any) -> None:
        """Follow a changed configuration; leases that run keep their deadlines."""
        self.config = config
        self.delivery.policy = rules.policy_of(config)

    def end(self, reason: Refused) -> None:
        """Refuse everything from now on, to those that wait too."""
        self._ended = reason
        if self._timer is not None:
            self._timer.cancel()
        for consumer in self.delivery.consumers(with_room=False):
            consumer.wake.set()

    # Delivery

    def offer(self, rows: Sequence[Row]) -> None:
        """Add messages that the store has committed."""
        now = self._loop.time()
        for row in rows:
            self.delivery.add(row.seq, len(row.body), row.key, now)
        self._stir()

    @contextmanager
    def attached(self, consumer: Consumer) -> Iterator[Consumer]:
        """Let a consumer take part for the length of the block."""
        self.delivery.attach(consumer, self._loop.time())
        try:
            yield consumer
        finally:
            self.delivery.detach(consumer)

    async def next_messages(
        self,
        consumer: Consumer,
        limit: int = _RESPONSE_MESSAGES,
        patience: float | None = None,
    ) -> list[Any]:
        """Return ReceivedMessages, leased; none after `patience` seconds without any.

        Raises `Refused` at the subscription's end.
        """
        give_up = None if patience is None else self._loop.time() + patience
        limit = min(limit, _RESPONSE_MESSAGES)
        while True:
            if self._ended is not None:
                raise self._ended
            consumer.wake.clear()
            now = self._loop.time()
            if leases := self.delivery.take(consumer, now, limit, _RESPONSE_BYTES):
                self._reschedule()
                if ready := await self._received(leases):
                    return ready
            elif give_up is not None and now >= give_up:
                return []
            else:
                # Only the wait may be cut short: what is leased must reach the client.
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(give_up):
                        await consumer.wake.wait()

    async def _received(self, leases: list[Lease]) -> list[Any]:
        bodies = await self._bodies.read([lease.seq for lease in leases])
        counted = self.config.HasField("dead_letter_policy")
        return list(messages.received(self.id, leases, bodies, counted=counted))

    # Acknowledgements

    async def ack(self, ack_ids: Sequence[str]) -> None:
        """Settle messages; done when that is on disk."""
        given = [messages.delivered(self.id, ack_id) for ack_id in ack_ids]
        settled = self.delivery.ack(given, self._loop.time())
        if settled:
            self._stir()
        # Those of a failed write too: its client asks again, and may not be told that it is done.
        seqs = {*settled, *self._unsettled}
        if not seqs:
            return
        try:
            await self._store.settle(self.id, list(seqs))
        except sqlite3.Error:
            self._unsettled |= seqs
            raise
        self._unsettled -= seqs

    def modify(self, deadlines: Sequence[tuple[str, int]]) -> None:
        """Let leases end so many seconds from now; 0 gives the message back at once."""
        now = self._loop.time()
        given = [(messages.delivered(self.id, ack_id), s) for ack_id, s in deadlines]
        self.delivery.extend(((x, seconds) for x, seconds in given if seconds), now)
        nacked = [x for x, seconds in given if not seconds]
        if nacked:
            self._failed(self.delivery.nack(nacked, now))
        self._reschedule()

    def drop_through(self, seq: int) -> asyncio.Future[None]:
        """Settle every message up to and including `seq`."""
        self.delivery.drop_through(seq, self._loop.time())
        self._stir()
        return self._store.drop_through(self.id, seq)

    # Time and failures

    def forwarded(self, seqs: Sequence[int], *, accepted: bool) -> None:
        """End the hold on messages that were given to `forward`."""
        now = self._loop.time()
        for seq in seqs:
            self.delivery.forwarded(seq, now, accepted=accepted)
        self._stir()

    def _failed(self, failed: list[tuple[int, int]]) -> None:
        dead = [(seq, n) for seq, n in failed if self.delivery.is_forwarding(seq)]
        if failed and self.delivery.policy.max_failures:
            self._store.count_failures(self.id, failed)
        if dead:
            self._forward(self, dead)
        self._stir()

    def _stir(self) -> None:
        """Wake who may have something to take, and the clock when something is due."""
        if self._ended is None:
            for consumer in self.delivery.consumers():
                consumer.wake.set()
            self._reschedule()

    def _reschedule(self) -> None:
        due = self.delivery.next_event()
        if self._timer is not None and (due is None or self._timer.when() > due):
            self._timer.cancel()
            self._timer = None
        if due is not None and self._timer is None and self._ended is None:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._failed(self.delivery.expire(self._loop.time()))
