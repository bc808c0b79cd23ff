"""The faults that are on: started for a time, overlapping at will, counted where they hit."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable

from ops.rig.tcp_front import Front

SHARE = 0.5
"""The part of the calls that a fault hits: the retry of a failed one must have its chance."""
RESET_EVERY_SECONDS = 0.1, 0.8


class Strikes:
    """Which faults are on now, and how often each has hit."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._on: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.random = random.Random()  # noqa: S311 - chance, not secrets

    @contextlib.asynccontextmanager
    async def on(self, fault: str) -> AsyncIterator[None]:
        """Have the fault on for the length of the block; raises ValueError for an unknown one."""
        if fault not in self._known:
            raise ValueError(f"no such fault: {fault}; known: {', '.join(sorted(self._known))}")
        self._on[fault] += 1
        try:
            yield
        finally:
            self._on[fault] -= 1

    def active(self, fault: str) -> bool:
        """Tell whether the fault is on."""
        return self._on[fault] > 0

    def hits(self, fault: str, share: float = SHARE) -> bool:
        """Decide whether the fault hits this call, and count it when it does."""
        if not self._on[fault] or self.random.random() >= share:
            return False
        self.struck[fault] += 1
        return True

    def pause(self, longest: float) -> float:
        """Return how many seconds of `delay` this call gets: 0 while that is off."""
        return self.random.uniform(0, longest) if self.hits("delay", 1.0) else 0.0

    async def refuse(self, front: Front, seconds: float) -> None:
        """Close the port and cut its connections, and open it again after that time."""
        self.struck["refuse"] += await front.close()
        try:
            await asyncio.sleep(seconds)
        finally:
            if self._on["refuse"] == 1:  # the last of those that overlap
                await front.open()

    async def reset(self, front: Front, seconds: float) -> None:
        """Cut all connections now, and again and again until the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            self.struck["reset"] += front.cut_all()
            pause = self.random.uniform(*RESET_EVERY_SECONDS)
            if loop.time() + pause >= end:
                break
            await asyncio.sleep(pause)
        await asyncio.sleep(max(0.0, end - loop.time()))
