"""The replayer: publishes what is spooled, in order, when Pub/Sub accepts it again.

Every server runs one; it works while the flag is set and its process has the replay lock. A round
reads the first messages of the spool, publishes each key's in order, keys in parallel, and deletes
those that were confirmed. Messages that arrive meanwhile belong to the next round. Under a steady
load there would always be some. So when a quick round has taken all messages, the flag makes the
servers wait for a moment: the spool becomes empty, and messages go directly to Pub/Sub again.
"""

import asyncio
import contextlib
import functools
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor
from dataclasses import KW_ONLY, dataclass, field
from operator import attrgetter
from typing import Any, Final, NamedTuple

import grpc

from ops.runtime import log, metrics
from schema import publish_calls
from server.publish import CallOutcome, Destination, SpoolFailed, classify, decode, mark_as_copy
from server.spool.state import BLOCKED, DRAINING, EMPTY, SPOOLING, ReplayLock, SpoolFlag
from server.spool.store import SpoolStore, StoredMessage
from server.spool.writer import DRAIN_SECONDS

POLL_SECONDS: Final = 0.25
ROUND_MESSAGES: Final = 5_000
ROUND_BYTES: Final = 16_000_000
SLOTS: Final = 32  # publish calls in flight, as many as the publisher's
CALL_SECONDS: Final = 10.0
CHECK_SECONDS: Final = 3.0
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 2.0
_QUICK_SECONDS = 0.3  # after a round no longer than this, the next one is short
_DRAIN_AGAIN_SECONDS = 3.0

logger = log.get(__name__)


class ReplayMessage(NamedTuple):
    """A stored message in its protobuf form, `size` bytes on the wire."""

    sequence: int
    key: str
    message: Any
    size: int


class _Round:
    """The outcome of a round's messages."""

    def __init__(self) -> None:
        self.confirmed: list[int] = []
        self.refused: list[tuple[int, str]] = []
        self.error: Exception | None = None  # what stopped a key; a permanent one has precedence

    def stop(self, error: Exception) -> None:
        if self.error is None or classify(self.error).transient:
            self.error = error


@dataclass(eq=False)
class Replayer:
    """Empties the spool. `executor` has one thread, the store's."""

    store: SpoolStore
    flag: SpoolFlag
    lock: ReplayLock
    destination: Destination
    executor: Executor
    _: KW_ONLY
    longest_wait: float = _LONGEST_WAIT
    _slots: asyncio.Semaphore = field(
        default_factory=functools.partial(asyncio.Semaphore, SLOTS), init=False
    )
    _unsettled: _Round = field(default_factory=_Round, init=False)
    """Published, and the row not yet deleted."""
    _drained_at: float = field(default=-math.inf, init=False)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Replay during the block; at its end, what is not published stays for other servers."""
        task = asyncio.create_task(self._run(), name="spool-replay")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with contextlib.suppress(SpoolFailed):  # else its messages go out once more
                await self._settle()

    async def _run(self) -> None:
        while True:
            try:
                if self.flag.state != EMPTY and self.lock.try_acquire():
                    await self._replay()
            except Exception:  # the loop's edge: the next try may succeed
                logger.exception("spool_replay_failed")
                with contextlib.suppress(SpoolFailed):
                    # No client gets a 200 for what could not be published later.
                    await self._thread(self.store.mark, BLOCKED)
                await asyncio.sleep(self.longest_wait)
            await asyncio.sleep(POLL_SECONDS)

    async def _replay(self) -> None:
        """Publish until nothing is left."""
        began, wait, replayed = time.monotonic(), _FIRST_WAIT, 0
        try:
            while True:
                self.flag.heartbeat()
                await self._settle()
                if await self._thread(self.store.clear_if_empty):
                    break
                await self._measure()
                round_ = await self._round()
                replayed += len(round_.confirmed)
                await self._settle()
                if round_.confirmed:
                    wait = _FIRST_WAIT
                if round_.error is not None:
                    await self._wait_for_recovery(round_.error, wait)
                    wait = min(wait * 2, self.longest_wait)
            if replayed:
                seconds = round(time.monotonic() - began, 1)
                logger.info("spool_replayed", transactions=replayed, seconds=seconds)
                await self._thread(self.store.shrink)
        finally:
            for gauge in (metrics.SPOOL_MESSAGES, metrics.SPOOL_BYTES, metrics.SPOOL_OLDEST):
                gauge.set(0)
            self.lock.release()

    async def _round(self) -> _Round:
        """Publish the first messages; if they seem to be all, make the servers wait."""
        began = time.monotonic()
        messages = await self._thread(self._read)
        round_ = self._unsettled = _Round()
        await asyncio.gather(*(self._publish(each, round_) for each in _by_key(messages)))
        if round_.error is None:
            whole = len(messages) < ROUND_MESSAGES
            await self._steer(last=whole and time.monotonic() - began < _QUICK_SECONDS)
        return round_

    async def _steer(self, *, last: bool) -> None:
        """Make the servers wait if the next round may be the last; else let them go on."""
        elapsed = time.monotonic() - self._drained_at
        if last and not DRAIN_SECONDS < elapsed < _DRAIN_AGAIN_SECONDS:
            wanted = DRAINING
            if elapsed >= _DRAIN_AGAIN_SECONDS:
                self._drained_at = time.monotonic()
        else:
            wanted = SPOOLING
        if self.flag.state != wanted:
            await self._thread(self.store.mark, wanted)

    def _read(self) -> list[ReplayMessage]:
        return [_replay_message(row) for row in self.store.read(ROUND_MESSAGES, ROUND_BYTES)]

    async def _publish(self, messages: list[ReplayMessage], round_: _Round) -> None:
        """Publish one key's messages, a call at a time; stop at the first failure."""
        try:
            for call in publish_calls(messages, attrgetter("size")):
                await self._call(call, round_)
        except Exception as error:  # noqa: BLE001  # the round reports it
            round_.stop(error)

    async def _call(self, call: list[ReplayMessage], round_: _Round) -> None:
        try:
            async with self._slots:
                await self.destination.publish([each.message for each in call], CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            if classify(error) is not CallOutcome.REFUSED:
                raise
            if len(call) > 1:  # find the message that is refused
                for each in call:
                    await self._call([each], round_)
                return
            round_.refused.append((call[0].sequence, f"{error.code().name}: {error.details()}"))
            return
        self.flag.heartbeat()
        round_.confirmed += [each.sequence for each in call]
        metrics.PUBLISHED.inc(len(call))
        metrics.SPOOL_REPLAYED.inc(len(call))

    async def _settle(self) -> None:
        """Delete what was published; what cannot be deleted now is kept for the next try."""
        done = self._unsettled
        if not done.confirmed and not done.refused:
            return
        await self._thread(self.store.settle, done.confirmed, done.refused)
        self._unsettled = _Round()
        for sequence, error in done.refused:
            logger.error("spool_message_refused", sequence=sequence, error=error)
            metrics.SPOOL_REFUSED.inc()

    async def _wait_for_recovery(self, error: Exception, wait: float) -> None:
        """Log the failure, and wait until Pub/Sub seems to be reachable."""
        transient = classify(error).transient
        write = logger.warning if transient else logger.error
        write("spool_waits", error=str(error), permanent=not transient)
        await self._thread(self.store.mark, SPOOLING if transient else BLOCKED)
        await asyncio.sleep(wait)
        while transient and not await self._is_reachable():
            self.flag.heartbeat()
            await self._measure()
            wait = min(wait * 2, self.longest_wait)
            await asyncio.sleep(wait)

    async def _is_reachable(self) -> bool:
        """Check first: a publish without an answer may publish its messages once more."""
        try:
            await self.destination.check(CHECK_SECONDS)
        except grpc.aio.AioRpcError as error:
            return not classify(error).transient  # the next publish reports it
        return True

    async def _measure(self) -> None:
        totals = await self._thread(self.store.totals)
        metrics.SPOOL_MESSAGES.set(totals.messages)
        metrics.SPOOL_BYTES.set(totals.bytes)
        age = 0.0 if totals.oldest_at is None else max(0.0, time.time() - totals.oldest_at)
        metrics.SPOOL_OLDEST.set(age)

    async def _thread[T, *Ts](self, call: Callable[[*Ts], T], *values: *Ts) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, call, *values)


def _replay_message(row: StoredMessage) -> ReplayMessage:
    message = decode(row.message)
    mark_as_copy(message)  # an earlier replay may have published it, and not deleted its row
    return ReplayMessage(row.sequence, row.key, message, message.ByteSize())


def _by_key(messages: Iterable[ReplayMessage]) -> list[list[ReplayMessage]]:
    keys: dict[str, list[ReplayMessage]] = {}
    for each in messages:
        keys.setdefault(each.key, []).append(each)
    return list(keys.values())
