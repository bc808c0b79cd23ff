"""The micro-batcher: what has gathered for an ordering key goes out as soon as a slot is free.

Under load a key's batch is what came in during its last call; alone, a message waits for nothing.
A key is never in two calls at once, so its messages are stored in the order they were handed over.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import grpc

from ops.runtime import log, metrics, retry
from schema import Message
from server.backlog import Backlog, Entry
from server.topic import encode, is_refusal, is_transient

CALL_SECONDS: Final = 5.0
"""One call's own deadline."""

_LEAST_CALL_SECONDS = 1.0
_ATTEMPTS = 100  # more than there is time for: the time is the bound

logger = log.get(__name__)


class Limits(NamedTuple):
    """What bounds the publisher."""

    seconds: float = 10.0
    """From hand-over to the outcome, retries included: a client waits no longer."""
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
    """Where messages of one ordering key go, in one call: `server.topic.Topic`."""

    async def publish(self, messages: Sequence[Any], timeout: float) -> None:  # noqa: ASYNC109
        """Return when they are durable, or raise."""

    async def check(self, timeout: float) -> None:  # noqa: ASYNC109
        """Return when a publish would succeed, or raise what it would."""


class Publisher:
    """Hands messages to Pub/Sub. Made in the running loop; `drain` it before the channel goes."""

    def __init__(
        self,
        topic: Destination,
        limits: Limits = Limits(),  # noqa: B008  # immutable
        backlog: Backlog | None = None,
    ) -> None:
        self._topic = topic
        self._limits = limits
        self._backlog = Backlog() if backlog is None else backlog
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

    async def publish(self, message: Message) -> None:
        """Return when Pub/Sub has confirmed the message; raises PublishFailed.

        A caller that is cancelled leaves the message on its way.
        """
        await self.hand_over(message)

    def hand_over(self, message: Message) -> asyncio.Future[None]:
        """Put a message in line, at once and in this order; the future is its outcome."""
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
        try:
            await self._send(entries)
        except Exception as error:  # noqa: BLE001  # the loop's edge: it becomes these verdicts
            if is_refusal(error) and len(entries) > 1:
                await self._send_alone(entries)
            else:
                behind = [] if is_refusal(error) else self._backlog.drop(key)
                self._fail([*entries, *behind], error)
        finally:
            self._backlog.release(key)

    async def _send_alone(self, entries: list[Entry]) -> None:
        """Find the message that the service refuses: each goes alone, in the same order."""
        for place, entry in enumerate(entries):
            try:
                await self._send([entry])
            except Exception as error:  # noqa: BLE001  # as in `_deliver`
                if not is_refusal(error):
                    self._fail([*entries[place:], *self._backlog.drop(entry.key)], error)
                    return
                self._fail([entry], error)

    async def _send(self, entries: list[Entry]) -> None:
        policy = retry.policy(
            "publish",
            is_transient,
            attempts=_ATTEMPTS,
            seconds=self._limits.seconds,
            first_wait=0.05,
            longest_wait=1.0,
        )
        async for attempt in policy:
            with attempt:
                await self._call(entries)
        self._confirm(entries)

    async def _call(self, entries: list[Entry]) -> None:
        left = entries[0].since + self._limits.seconds - self._loop.time()
        if left <= 0:
            raise PublishFailed("Pub/Sub has not confirmed the transaction in time")
        metrics.PUBLISH_BATCH.observe(len(entries))
        timeout = min(CALL_SECONDS, max(left, _LEAST_CALL_SECONDS))
        try:
            await self._topic.publish([entry.message for entry in entries], timeout)
        except grpc.aio.AioRpcError:
            self.failed_at = self._loop.time()
            raise

    def _confirm(self, entries: list[Entry]) -> None:
        now = self.confirmed_at = self._loop.time()
        metrics.PUBLISHED.inc(len(entries))
        for entry in entries:
            self._bytes -= entry.size
            metrics.PUBLISH_SECONDS.observe(now - entry.since)
            if not entry.confirmed.done():
                entry.confirmed.set_result(None)

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
