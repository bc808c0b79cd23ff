"""Starts the faults of a plan when they are due, and paces the load.

The load is slower while faults are queued, and slow while the fleet is behind it. It never stops:
a fault needs something to hit.

A fault is due after a number of accepted transactions, not after a time, and draws everything
random from its own seed: a trial's seed means the same on a slow machine.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Self

MOST_ACTIVE = 4
"""Faults that overlap at most."""
SLOW_RATE = 20.0
"""Requests a second while the fleet is behind, and at least while faults are queued."""


class PlannedFault(NamedTuple):
    """One fault of the plan, due after `after` accepted transactions."""

    number: int
    kind: str
    after: int
    seed: str


def schedule(transactions: int, faults: int, seed: int, kinds: Sequence[str]) -> list[PlannedFault]:
    """Return the faults in order; each kind comes before any comes again."""
    chance = random.Random(f"{seed}/faults")  # noqa: S311  # a plan, no secret
    drawn: list[str] = []
    while len(drawn) < faults:
        drawn += chance.sample(list(kinds), len(kinds))
    drawn = drawn[:faults]
    chance.shuffle(drawn)
    first, last = transactions // 20, max(transactions * 19 // 20, 1)
    moments = sorted(chance.randint(first, last) for _ in drawn)
    return [
        PlannedFault(number, kind, moment, f"{seed}/fault/{number}")
        for number, (kind, moment) in enumerate(zip(drawn, moments, strict=True))
    ]


class LoadPace(NamedTuple):
    """How fast the load is sent: `queued_rate`, in requests a second, while faults are queued."""

    queued_rate: float
    is_behind: Callable[[], bool] = lambda: False

    def pause(self, *, queued: bool) -> float:
        """Return the seconds before the next request."""
        if self.is_behind():
            return 1 / SLOW_RATE
        return 1 / max(SLOW_RATE, self.queued_rate) if queued else 0.0


class FaultSchedule:
    """`async with` it: the block ends when every fault that was started is over."""

    def __init__(
        self,
        faults: Sequence[PlannedFault],
        pacing: LoadPace,
        inject: Callable[[PlannedFault], Awaitable[None]],
    ) -> None:
        self._left = list(faults)
        self._pacing = pacing
        self._inject = inject
        self._queued = 0
        self._slots = asyncio.Semaphore(MOST_ACTIVE)
        self._turn = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def pace(self) -> None:
        """Return when the next request may be sent."""
        if self._pause():
            async with self._turn:
                await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        return self._pacing.pause(queued=bool(self._queued))

    def start_due(self, accepted: int) -> None:
        """Start the faults that are due after `accepted` transactions."""
        while self._left and self._left[0].after <= accepted:
            self._queued += 1
            self._tasks.append(asyncio.create_task(self._run(self._left.pop(0))))

    async def _run(self, fault: PlannedFault) -> None:
        async with self._slots:
            self._queued -= 1
            await self._inject(fault)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await asyncio.gather(*self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
