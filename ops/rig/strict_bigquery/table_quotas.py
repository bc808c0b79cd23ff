"""The quotas of one table: statements in ten seconds, INSERTs in a day."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable

from ops.rig.strict_bigquery import refusals
from ops.rig.strict_bigquery.documented_rules import RuleLimits

_DAY = 86_400.0


class RecentTimes:
    """The times of events within a window, at most `most` of them."""

    def __init__(self, most: int, seconds: float) -> None:
        self._times: deque[float] = deque()
        self._most, self._seconds = most, seconds

    def admit(self, now: float) -> bool:
        """Count an event unless the window is full."""
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        if len(self._times) >= self._most:
            return False
        self._times.append(now)
        return True


class _InsertSlots:
    """The INSERTs of one table that exceed those of the day: some run, some wait."""

    def __init__(self, limits: RuleLimits) -> None:
        self.today = RecentTimes(limits.daily_inserts, _DAY)
        self.running = asyncio.Semaphore(limits.concurrent_inserts)
        self.queued = 0


class TableQuotas:
    """Counts statements by table and raises Refused for those above a quota."""

    def __init__(self, limits: RuleLimits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        window = limits.window_seconds
        self._dml = defaultdict[str, RecentTimes](
            lambda: RecentTimes(limits.dml_statements, window)
        )
        self._ddl = defaultdict[str, RecentTimes](
            lambda: RecentTimes(limits.ddl_statements, window)
        )
        self._inserts = defaultdict[str, _InsertSlots](lambda: _InsertSlots(limits))

    def count_dml(self, table: str) -> None:
        if self._limits.in_force("dml_rate") and not self._dml[table].admit(self._clock()):
            raise refusals.dml_rate(table)

    def count_ddl(self, table: str) -> None:
        if self._limits.in_force("ddl_rate") and not self._ddl[table].admit(self._clock()):
            raise refusals.ddl_rate()

    @contextlib.asynccontextmanager
    async def insert(self, table: str) -> AsyncIterator[None]:
        """Run an INSERT when its turn has come; raises Refused when too many wait."""
        slots = self._inserts[table]
        if not self._limits.in_force("daily_inserts") or slots.today.admit(self._clock()):
            yield
            return
        if slots.queued >= self._limits.queued_inserts and slots.running.locked():
            limit = self._limits.queued_inserts
            raise refusals.too_many_outstanding("daily_inserts", table, limit)
        slots.queued += 1
        try:
            await slots.running.acquire()
        finally:
            slots.queued -= 1
        try:
            yield
        finally:
            slots.running.release()
