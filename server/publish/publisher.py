"""The micro-batcher: the messages of an ordering key are published as soon as a slot is free.

Under load a key's batch is what came in during its last call; a single message does not wait. A key
is never in two calls at the same time, so its messages are stored in the order of `enqueue`.

When Pub/Sub cannot be reached, messages go to the spool instead, with those that wait behind them.
While the spool is in use all messages go there, so that none overtakes (see `server.spool`).
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import grpc

from ops.runtime import log, metrics, retry
from schema import Message
from server.publish.queue import PublishQueue, QueueEntry
from server.publish.rpc_errors import (
    CallOutcome,
    PublishExpired,
    PublishFailed,
    SpoolFailed,
    classify,
)
from server.publish.topic import encode, mark_as_copy

_LEAST_CALL_SECONDS = 1.0
_ATTEMPTS = 100  # more than there is time for: the time is the bound

logger = log.get(__name__)


class PublishLimits(NamedTuple):
    """The bounds of a publisher."""

    seconds: float = 10.0  # from `enqueue` to the last call's end, retries included; then 503
    slots: int = 32  # calls in flight; keys cannot share a call, so this many keys move together
    messages: int = 10_000  # that may wait for a call; more are rejected
    bytes: int = 96_000_000  # of messages that wait for a call or are in one
    call_seconds: float = 5.0  # the deadline of one call
    call_seconds_with_spool: float = 4.0  # the spool takes what is not confirmed by then
    unreachable_seconds: float = 0.2  # of retries before the spool, if Pub/Sub cannot be reached
    busy_seconds: float = 2.0  # of retries before the spool, if Pub/Sub answers and is busy


class Destination(Protocol):
    """Takes messages of one ordering key, in one call: `server.publish.topic.Topic`."""

    async def publish(self, messages: Sequence[Any], timeout: float) -> None:  # noqa: ASYNC109
        """Return when they are durable, or raise."""

    async def check(self, timeout: float) -> None:  # noqa: ASYNC109
        """Return if a publish would succeed, or raise what it would."""


class MessageSpool(Protocol):
    """Takes messages while Pub/Sub cannot be reached: `server.spool.writer.SpoolWriter`."""

    @property
    def in_use(self) -> bool:
        """Whether messages must go through the spool now."""

    async def wait_while_draining(self) -> bool:
        """Wait a moment if the spool is about to be empty; return whether it is still in use."""

    async def append(self, messages: Sequence[Any]) -> int:
        """Store messages of one key; return how many there was room for. Raises SpoolFailed."""


class Publisher:
    """Publishes messages. Make it in the running loop; `drain` it before the channel closes."""

    def __init__(
        self,
        topic: Destination,
        limits: PublishLimits = PublishLimits(),  # noqa: B008  # immutable
        queue: PublishQueue | None = None,
        spool: MessageSpool | None = None,
    ) -> None:
        self._topic = topic
        self._limits = limits
        self._queue = PublishQueue() if queue is None else queue
        self._spool = spool
        metrics.PUBLISH_QUEUE.set_function(lambda: self._queue.messages)
        self._loop = asyncio.get_running_loop()
        self._calls: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._bytes = 0
        self.failures = 0  # messages that have failed
        self.confirmed_at = float("-inf")  # the loop's time of the last confirmed call
        self.failed_at = float("-inf")  # the loop's time of the last failed call

    def enqueue(self, message: Message) -> asyncio.Future[bool]:
        """Queue a message in the order of these calls; does not block.

        The future is whether the message is spooled instead of confirmed, or PublishFailed. When
        its caller is cancelled, the message is published nonetheless.
        """
        encoded = encode(message)
        key, size = encoded.ordering_key, encoded.ByteSize()
        entry = QueueEntry(key, encoded, size, self._loop.time(), self._loop.create_future())
        limits = self._limits
        if self._queue.messages >= limits.messages or self._bytes + size > limits.bytes:
            self.failures += 1
            _reject(entry, PublishFailed("too many transactions wait for Pub/Sub", 1))
            return entry.spooled
        self._bytes += size
        self._queue.add(entry)
        if not self._scheduled:
            # At the end of this turn of the loop, with all that came in during it.
            self._scheduled = True
            self._loop.call_soon(self._start_calls)
        return entry.spooled

    async def drain(self) -> None:
        """Return when nothing waits and no call is in flight, which the limits bound."""
        while self._calls or self._queue.messages:
            await asyncio.sleep(0)  # calls may be scheduled
            if self._calls:
                await asyncio.wait(self._calls)

    def _start_calls(self) -> None:
        self._scheduled = False
        while len(self._calls) < self._limits.slots and (entries := self._queue.take()):
            task = self._loop.create_task(self._deliver(entries), name="publish")
            self._calls.add(task)
            task.add_done_callback(self._on_call_end)

    def _on_call_end(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not self._scheduled:
            self._start_calls()

    async def _deliver(self, entries: list[QueueEntry]) -> None:
        """Publish, spool or fail every entry of one key, in order; never raises.

        Entries that wait behind a failure fail with it, so that no message overtakes an earlier
        one that its client is about to send again.
        """
        spool = self._spool
        try:
            if spool is not None and spool.in_use and await spool.wait_while_draining():
                await self._spool_entries(spool, entries)
            else:
                await self._publish(entries)
        except Exception as error:  # noqa: BLE001  # the loop's edge: it becomes these outcomes
            if classify(error) is CallOutcome.REFUSED and len(entries) > 1:
                await self._publish_one_by_one(entries)
            else:
                await self._on_publish_error(entries, error)
        finally:
            self._queue.release(entries[0].key)

    async def _publish_one_by_one(self, entries: list[QueueEntry]) -> None:
        """Find the message that Pub/Sub refuses; the order stays."""
        for place, entry in enumerate(entries):
            try:
                await self._publish([entry])
            except Exception as error:  # noqa: BLE001  # as in `_deliver`
                if classify(error) is not CallOutcome.REFUSED:
                    await self._on_publish_error(entries[place:], error)
                    return
                self._fail([entry], error)

    async def _on_publish_error(self, entries: list[QueueEntry], error: Exception) -> None:
        """Spool or fail entries that could not be published, with all that wait behind them."""
        outcome = classify(error)
        if outcome is CallOutcome.REFUSED:  # of this one message: those behind it may go on
            self._fail(entries, error)
            return
        every = [*entries, *self._queue.drop(entries[0].key)]
        if self._spool is not None and outcome.transient:
            logger.warning("publish_unreachable", transactions=len(every), error=str(error))
            await self._spool_entries(self._spool, every)
        else:
            self._fail(every, error)

    async def _spool_entries(self, spool: MessageSpool, entries: list[QueueEntry]) -> None:
        """Spool entries; those that it does not take fail, with all that wait behind them."""
        failure = SpoolFailed("the spool is full")
        stored = 0
        try:
            stored = await spool.append([entry.message for entry in entries])
        except SpoolFailed as error:
            failure = error
        metrics.SPOOLED.inc(stored)
        self._accept(entries[:stored], spooled=True)
        if left := entries[stored:]:
            metrics.SPOOL_FAILURES.inc(len(left))
            self._fail([*left, *self._queue.drop(entries[0].key)], failure)

    async def _publish(self, entries: list[QueueEntry]) -> None:
        began = self._loop.time()
        try:
            await self._call(entries)
        except Exception as error:  # noqa: BLE001  # raised again in there, or retried
            if classify(error) is not CallOutcome.REFUSED:
                for entry in entries:  # the next call, or the spool's, may be the second
                    mark_as_copy(entry.message)
            await self._retry(entries, error, began)
        now = self.confirmed_at = self._loop.time()
        metrics.PUBLISHED.inc(len(entries))
        for entry in entries:
            metrics.PUBLISH_SECONDS.observe(now - entry.since)
        self._accept(entries, spooled=False)

    async def _retry(self, entries: list[QueueEntry], failure: Exception, began: float) -> None:
        """Go on after a first failure. Only now, as making a policy costs a fifth of a call."""
        seconds = self._limits.seconds if self._spool is None else self._limits.busy_seconds
        policy = retry.policy(
            "publish",
            lambda error: self._is_retryable(error, began),
            attempts=_ATTEMPTS,
            seconds=max(seconds - (self._loop.time() - began), 0),
            first_wait=0.05,
            longest_wait=1.0,
        )
        first: Exception | None = failure
        async for attempt in policy:
            with attempt:
                if first is not None:
                    failed, first = first, None
                    raise failed
                await self._call(entries)

    def _is_retryable(self, error: BaseException, began: float) -> bool:
        outcome = classify(error)
        if outcome is CallOutcome.EXPIRED or not outcome.transient:
            return False
        if self._spool is None:
            return True
        if self._spool.in_use or outcome is CallOutcome.UNANSWERED:
            return False
        elapsed = self._loop.time() - began
        return outcome is CallOutcome.BUSY or elapsed < self._limits.unreachable_seconds

    async def _call(self, entries: list[QueueEntry]) -> None:
        timeout = self._time_left(entries[0])
        metrics.PUBLISH_BATCH.observe(len(entries))
        try:
            await self._topic.publish([entry.message for entry in entries], timeout)
        except grpc.aio.AioRpcError:
            self.failed_at = self._loop.time()
            raise

    def _time_left(self, entry: QueueEntry) -> float:
        limits = self._limits
        left = entry.since + limits.seconds - self._loop.time()
        if left <= 0:
            raise PublishExpired("Pub/Sub has not confirmed the transaction in time")
        longest = limits.call_seconds if self._spool is None else limits.call_seconds_with_spool
        return min(longest, max(left, _LEAST_CALL_SECONDS))

    def _accept(self, entries: list[QueueEntry], *, spooled: bool) -> None:
        for entry in entries:
            self._bytes -= entry.size
            if not entry.spooled.done():
                entry.spooled.set_result(spooled)

    def _fail(self, entries: list[QueueEntry], error: Exception) -> None:
        write = logger.warning if classify(error).transient else logger.error
        write("publish_failed", transactions=len(entries), error=str(error))
        self.failures += len(entries)
        for entry in entries:
            self._bytes -= entry.size
            if not entry.spooled.done():
                _reject(entry, PublishFailed("Pub/Sub does not take the transaction now"))


def _reject(entry: QueueEntry, failure: PublishFailed) -> None:
    metrics.PUBLISH_FAILURES.inc()
    entry.spooled.set_exception(failure)
    entry.spooled.exception()  # Mark it as retrieved, so that asyncio does not warn.
