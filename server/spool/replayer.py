"""The replayer: publishes what is spooled, in order, when Pub/Sub takes it again.

Every server runs one; it works while the flag is set and the process has the lead. A round reads
the first messages of the spool, publishes each key's in order, keys side by side, and deletes what
was confirmed. What comes in meanwhile is the next round's. Under a steady load some always would:
when a round has taken all there was, quickly, the flag asks the servers to hold what they have for
a moment, so that the spool runs empty and messages go straight to Pub/Sub again.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Executor
from operator import attrgetter
from typing import Any, Final, NamedTuple

import grpc

from ops.runtime import log, metrics
from schema import publish_calls
from server.publish.publisher import Destination
from server.publish.topic import decode, is_refusal, is_transient
from server.spool.database import SpoolFailed
from server.spool.replay_lock import Lead
from server.spool.state import BARRED, EMPTY, HOLDING, SPOOLING, Flag
from server.spool.store import Store
from server.spool.writer import HOLD_SECONDS

POLL_SECONDS: Final = 0.25
ROUND_MESSAGES: Final = 5_000
ROUND_BYTES: Final = 16_000_000
SLOTS: Final = 32
"""Publish calls in flight at once, as the publisher's."""

CALL_SECONDS: Final = 10.0
CHECK_SECONDS: Final = 3.0
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 2.0
_QUICK_SECONDS = 0.3  # a round of no more is one whose successor is short
_HOLD_AGAIN_SECONDS = 3.0

logger = log.get(__name__)


class Queued(NamedTuple):
    """A stored message, ready to be published: `message` is its protobuf form."""

    sequence: int
    key: str
    message: Any
    size: int


class _Round:
    """What came of some messages."""

    def __init__(self) -> None:
        self.confirmed: list[int] = []
        self.refused: list[tuple[int, str]] = []
        self.error: Exception | None = None
        """The failure that stopped a key; a permanent one goes first."""

    def stopped(self, error: Exception) -> None:
        if self.error is None or is_transient(self.error):
            self.error = error


class Replayer:
    """Empties the spool. `executor` has one thread, the store's."""

    def __init__(
        self, store: Store, flag: Flag, lead: Lead, destination: Destination, executor: Executor
    ) -> None:
        self._store = store
        self._flag = flag
        self._lead = lead
        self._destination = destination
        self._executor = executor
        self._slots = asyncio.Semaphore(SLOTS)
        self._unsettled = _Round()  # published, and the row not yet deleted
        self._held_at = float("-inf")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Replay beside the block; at its end, what is not published stays for others."""
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
                if self._flag.state != EMPTY and self._lead.take():
                    await self._drain()
            except Exception:  # the loop's edge: the next try may do better
                logger.exception("spool_replay_failed")
                await self._bar()
                await asyncio.sleep(_LONGEST_WAIT)
            await asyncio.sleep(POLL_SECONDS)

    async def _bar(self) -> None:
        """Let nobody be told 200 for what could not be published later."""
        with contextlib.suppress(SpoolFailed):
            await self._thread(self._store.mark, BARRED)

    async def _drain(self) -> None:
        """Publish until nothing is left."""
        began, wait = time.monotonic(), _FIRST_WAIT
        replayed = 0
        try:
            while True:
                self._flag.beat()
                await self._settle()
                if await self._thread(self._store.clear_if_empty):
                    break
                await self._measure()
                round_ = await self._round()
                replayed += len(round_.confirmed)
                await self._settle()
                if round_.confirmed:
                    wait = _FIRST_WAIT
                if round_.error is not None:
                    await self._trouble(round_.error, wait)
                    wait = min(wait * 2, _LONGEST_WAIT)
            if replayed:
                seconds = round(time.monotonic() - began, 1)
                logger.info("spool_replayed", transactions=replayed, seconds=seconds)
                await self._thread(self._store.shrink)
        finally:
            for gauge in (metrics.SPOOL_MESSAGES, metrics.SPOOL_BYTES, metrics.SPOOL_OLDEST):
                gauge.set(0)
            self._lead.leave()

    async def _round(self) -> _Round:
        """Publish the first messages, and have the servers hold theirs when that seems all."""
        began = time.monotonic()
        queued = await self._thread(self._read)
        round_ = self._unsettled = _Round()
        await asyncio.gather(*(self._publish(keys, round_) for keys in _by_key(queued)))
        if round_.error is None:
            whole = len(queued) < ROUND_MESSAGES
            await self._steer(last=whole and time.monotonic() - began < _QUICK_SECONDS)
        return round_

    async def _steer(self, *, last: bool) -> None:
        """Have the servers hold what they have when the next round may be the last, or go on."""
        held = time.monotonic() - self._held_at
        if last and not HOLD_SECONDS < held < _HOLD_AGAIN_SECONDS:
            wanted = HOLDING
            if held >= _HOLD_AGAIN_SECONDS:
                self._held_at = time.monotonic()
        else:
            wanted = SPOOLING
        if self._flag.state != wanted:
            await self._thread(self._store.mark, wanted)

    def _read(self) -> list[Queued]:
        return [
            Queued(row.sequence, row.key, decode(row.message), len(row.message))
            for row in self._store.read(ROUND_MESSAGES, ROUND_BYTES)
        ]

    async def _publish(self, queued: list[Queued], round_: _Round) -> None:
        """Publish one key's messages, a call at a time; stop at the first failure."""
        try:
            for call in publish_calls(queued, attrgetter("size")):
                await self._call(call, round_)
        except Exception as error:  # noqa: BLE001  # told by the round
            round_.stopped(error)

    async def _call(self, call: list[Queued], round_: _Round) -> None:
        try:
            async with self._slots:
                await self._destination.publish([each.message for each in call], CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            if not is_refusal(error):
                raise
            if len(call) > 1:  # find the one that is meant
                for each in call:
                    await self._call([each], round_)
                return
            round_.refused.append((call[0].sequence, f"{error.code().name}: {error.details()}"))
            return
        self._flag.beat()
        round_.confirmed += [each.sequence for each in call]
        metrics.PUBLISHED.inc(len(call))
        metrics.SPOOL_REPLAYED.inc(len(call))

    async def _settle(self) -> None:
        """Delete what was published; what cannot be deleted is not forgotten meanwhile."""
        done = self._unsettled
        if not done.confirmed and not done.refused:
            return
        await self._thread(self._store.settle, done.confirmed, done.refused)
        self._unsettled = _Round()
        for sequence, error in done.refused:
            logger.error("spool_message_refused", sequence=sequence, error=error)
            metrics.SPOOL_REFUSED.inc()

    async def _trouble(self, error: Exception, wait: float) -> None:
        """Say what is wrong, and wait until Pub/Sub seems to be there again."""
        transient = is_transient(error)
        write = logger.warning if transient else logger.error
        write("spool_waits", error=str(error), for_good=not transient)
        await self._thread(self._store.mark, SPOOLING if transient else BARRED)
        await asyncio.sleep(wait)
        while transient and not await self._reachable():
            self._flag.beat()
            await self._measure()
            wait = min(wait * 2, _LONGEST_WAIT)
            await asyncio.sleep(wait)

    async def _reachable(self) -> bool:
        """Ask, as a call that gets no answer may leave its messages to be published once more."""
        try:
            await self._destination.check(CHECK_SECONDS)
        except grpc.aio.AioRpcError as error:
            return not is_transient(error)  # the next call tells
        return True

    async def _measure(self) -> None:
        totals = await self._thread(self._store.totals)
        metrics.SPOOL_MESSAGES.set(totals.messages)
        metrics.SPOOL_BYTES.set(totals.bytes)
        age = 0.0 if totals.oldest_at is None else max(0.0, time.time() - totals.oldest_at)
        metrics.SPOOL_OLDEST.set(age)

    async def _thread[T, *Ts](self, call: Any, *values: *Ts) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, call, *values)


def _by_key(queued: Iterable[Queued]) -> list[list[Queued]]:
    keys: dict[str, list[Queued]] = {}
    for each in queued:
        keys.setdefault(each.key, []).append(each)
    return list(keys.values())
