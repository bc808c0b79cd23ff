"""The micro-batcher: what has gathered for an ordering key goes out as soon as a slot is free.

Under load a key's batch is what came in during its last call; alone, a message waits for nothing.
A key is never in two calls at once, so its messages are stored in the order they were handed over.

When Pub/Sub cannot be reached they go to the spool instead, with what waits behind them; and as
long as the spool is in use all do, so that none overtakes (see `server.spool.store`).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import grpc

from ops.runtime import log, metrics, retry
from schema import Message
from server.publish.queue import Backlog, Entry
from server.publish.topic import encode, is_busy, is_refusal, is_transient, is_unanswered
from server.spool.database import SpoolFailed

CALL_SECONDS: Final = 5.0
"""One call's own deadline."""

SPOOLED_CALL_SECONDS: Final = 4.0
"""The same with a spool behind it: what is not confirmed by then goes there."""

UNREACHABLE_SECONDS: Final = 0.2
"""How long to try a service that cannot be reached, before the spool."""

BUSY_SECONDS: Final = 2.0
"""How long to try one that answers and has no time, before the spool."""

_LEAST_CALL_SECONDS = 1.0
_ATTEMPTS = 100  # more than there is time for: the time is the bound

logger = log.get(__name__)


class Limits(NamedTuple):
    """What bounds the publisher."""

    seconds: float = 10.0
    """From hand-over to the last call's end, retries included. Then comes the spool, or 503."""
    slots: int = 32
    """Publish calls in flight at once. Keys cannot share one, so this many keys move together."""
    messages: int = 10_000
    """Messages that may wait for a call; past it they are refused."""
    bytes: int = 96_000_000
    """Bytes of messages that wait for a call or are in one."""


class PublishFailed(Exception):
    """Pub/Sub has not confirmed the message; send it again in `retry_after` seconds."""

    def __init__(self, why: str, retry_after: int = 5) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Destination(Protocol):
    """Where messages of one ordering key go, in one call: `server.publish.topic.Topic`."""

    async def publish(self, messages: Sequence[Any], timeout: float) -> None:  # noqa: ASYNC109
        """Return when they are durable, or raise."""

    async def check(self, timeout: float) -> None:  # noqa: ASYNC109
        """Return when a publish would succeed, or raise what it would."""


class Spool(Protocol):
    """Where messages go that Pub/Sub cannot be reached for: `server.spool.writer.Writer`."""

    @property
    def in_use(self) -> bool:
        """Whether messages must go through the spool now."""

    async def hold(self) -> bool:
        """Wait a moment if it is about to be empty; return whether it is still in use."""

    async def append(self, messages: Sequence[Any]) -> int:
        """Store messages of one key; return how many there was room for. Raises SpoolFailed."""


class Publisher:
    """Hands messages to Pub/Sub. Made in the running loop; `drain` it before the channel goes."""

    def __init__(
        self,
        topic: Destination,
        limits: Limits = Limits(),  # noqa: B008  # immutable
        backlog: Backlog | None = None,
        spool: Spool | None = None,
    ) -> None:
        self._topic = topic
        self._limits = limits
        self._backlog = Backlog() if backlog is None else backlog
        self._spool = spool
        self._loop = asyncio.get_running_loop()
        self._calls: set[asyncio.Task[None]] = set()
        self._pumping = False
        self._bytes = 0
        self.confirmed_at = float("-inf")
        """The loop's time of the last confirmation."""
        self.failures = 0
        """Messages that have failed."""
        self.failed_at = float("-inf")
        """The loop's time of the last failed call."""

    async def publish(self, message: Message) -> bool:
        """Return when Pub/Sub has confirmed the message, or the spool has it; raises PublishFailed.

        Says whether it is spooled. A caller that is cancelled leaves the message on its way.
        """
        return await self.hand_over(message)

    def hand_over(self, message: Message) -> asyncio.Future[bool]:
        """Put a message in line, at once and in this order; the future is `publish`'s outcome."""
        encoded = encode(message)
        size = encoded.ByteSize()
        backlog = self._backlog
        confirmed = self._loop.create_future()
        if backlog.messages >= self._limits.messages or self._bytes + size > self._limits.bytes:
            metrics.PUBLISH_FAILURES.inc()
            self.failures += 1
            confirmed.set_exception(PublishFailed("too many transactions wait for Pub/Sub", 1))
            confirmed.exception()  # as in `_fail`
            return confirmed
        self._bytes += size
        backlog.add(Entry(message.ordering_key, encoded, size, self._loop.time(), confirmed))
        if not self._pumping:
            # At the end of this turn of the loop, with all that came in during it.
            self._pumping = True
            self._loop.call_soon(self._pump)
        return confirmed

    async def drain(self) -> None:
        """Return when nothing waits and no call is in flight, which the limits bound."""
        while self._calls or self._backlog.messages:
            await asyncio.sleep(0)  # a pump may be due
            if self._calls:
                await asyncio.wait(self._calls)

    def _pump(self) -> None:
        self._pumping = False
        while len(self._calls) < self._limits.slots and (entries := self._backlog.take()):
            task = self._loop.create_task(self._deliver(entries), name="publish")
            self._calls.add(task)
            task.add_done_callback(self._ended)
        metrics.PUBLISH_QUEUE.set(self._backlog.messages)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not self._pumping:
            self._pump()

    async def _deliver(self, entries: list[Entry]) -> None:
        """Settle every entry of one key, in order, one way or the other; never raises.

        What waits behind a failure fails with it, so that no message overtakes an earlier one
        that its client is about to send again.
        """
        key = entries[0].key
        spool = self._spool
        try:
            if spool is not None and spool.in_use and await spool.hold():
                await self._keep(spool, entries)
            else:
                await self._send(entries)
        except Exception as error:  # noqa: BLE001  # the loop's edge: it becomes these verdicts
            if is_refusal(error) and len(entries) > 1:
                await self._send_alone(entries)
            else:
                await self._fall_back(entries, error)
        finally:
            self._backlog.release(key)

    async def _send_alone(self, entries: list[Entry]) -> None:
        """Find the message that the service refuses: each goes alone, in the same order."""
        for place, entry in enumerate(entries):
            try:
                await self._send([entry])
            except Exception as error:  # noqa: BLE001  # as in `_deliver`
                if not is_refusal(error):
                    await self._fall_back(entries[place:], error)
                    return
                self._fail([entry], error)

    async def _fall_back(self, entries: list[Entry], error: Exception) -> None:
        """Settle what could not be published, with all that waits behind it."""
        if is_refusal(error):  # of this one message: what is behind may go on
            self._fail(entries, error)
            return
        every = [*entries, *self._backlog.drop(entries[0].key)]
        passing = is_transient(error) or isinstance(error, PublishFailed)
        if self._spool is not None and passing:
            logger.warning("publish_unreachable", transactions=len(every), error=str(error))
            await self._keep(self._spool, every)
        else:
            self._fail(every, error)

    async def _keep(self, spool: Spool, entries: list[Entry]) -> None:
        """Put messages into the spool; what it does not take fails, with what waits behind it."""
        failure = SpoolFailed("the spool is full")
        stored = 0
        try:
            stored = await spool.append([entry.message for entry in entries])
        except SpoolFailed as error:
            failure = error
        metrics.SPOOLED.inc(stored)
        for entry in entries[:stored]:
            self._bytes -= entry.size
            if not entry.confirmed.done():
                entry.confirmed.set_result(True)  # a future's value
        if left := entries[stored:]:
            metrics.SPOOL_FAILURES.inc(len(left))
            self._fail([*left, *self._backlog.drop(entries[0].key)], failure)

    def _worth_another(self) -> Callable[[BaseException], bool]:
        """Return what decides whether a call that failed is tried again, from now on."""
        began = self._loop.time()

        def again(error: BaseException) -> bool:
            if self._spool is None or not is_transient(error):
                return is_transient(error)
            if self._spool.in_use or is_unanswered(error):
                return False
            return is_busy(error) or self._loop.time() - began < UNREACHABLE_SECONDS

        return again

    async def _send(self, entries: list[Entry]) -> None:
        again = self._worth_another()
        began = self._loop.time()
        try:
            await self._call(entries)
        except Exception as error:  # noqa: BLE001  # raised again there, or mended
            await self._send_again(entries, error, again, self._loop.time() - began)
        self._confirm(entries)

    async def _send_again(
        self,
        entries: list[Entry],
        error: Exception,
        again: Callable[[BaseException], bool],
        spent: float,
    ) -> None:
        """Go on after a first failure. A policy costs a fifth of a call: only now is one made."""
        seconds = self._limits.seconds if self._spool is None else BUSY_SECONDS
        policy = retry.policy(
            "publish",
            again,
            attempts=_ATTEMPTS,
            seconds=max(seconds - spent, 0),
            first_wait=0.05,
            longest_wait=1.0,
        )
        first: Exception | None = error
        async for attempt in policy:
            with attempt:
                if first is not None:
                    failed, first = first, None
                    raise failed
                await self._call(entries)

    async def _call(self, entries: list[Entry]) -> None:
        timeout = self._time_left(entries[0])
        metrics.PUBLISH_BATCH.observe(len(entries))
        try:
            await self._topic.publish([entry.message for entry in entries], timeout)
        except grpc.aio.AioRpcError:
            self.failed_at = self._loop.time()
            raise

    def _time_left(self, entry: Entry) -> float:
        left = entry.since + self._limits.seconds - self._loop.time()
        if left <= 0:
            raise PublishFailed("Pub/Sub has not confirmed the transaction in time")
        longest = CALL_SECONDS if self._spool is None else SPOOLED_CALL_SECONDS
        return min(longest, max(left, _LEAST_CALL_SECONDS))

    def _confirm(self, entries: list[Entry]) -> None:
        now = self.confirmed_at = self._loop.time()
        metrics.PUBLISHED.inc(len(entries))
        for entry in entries:
            self._bytes -= entry.size
            metrics.PUBLISH_SECONDS.observe(now - entry.since)
            if not entry.confirmed.done():
                entry.confirmed.set_result(False)  # a future's value

    def _fail(self, entries: list[Entry], error: Exception) -> None:
        passing = isinstance(error, PublishFailed) or is_transient(error)
        write = logger.warning if passing else logger.error
        write("publish_failed", transactions=len(entries), error=str(error))
        self.failures += len(entries)
        for entry in entries:
            self._bytes -= entry.size
            if not entry.confirmed.done():
                metrics.PUBLISH_FAILURES.inc()
                failure = PublishFailed("Pub/Sub does not take the transaction now")
                entry.confirmed.set_exception(failure)
                # Whoever does not ask for it any more need not be told of it by asyncio.
                entry.confirmed.exception()
