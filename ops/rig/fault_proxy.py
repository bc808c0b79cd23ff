"""The common part of the fault proxies: which faults are active, and how often each has hit."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import ClassVar

from ops.rig.tcp_front import TcpFront

SHARE = 0.5
"""The share of calls that a fault hits: the retry of a failed call must be able to succeed."""
RESET_EVERY_SECONDS = 0.1, 0.8


class FaultProxy:
    """Listens at `listen` and forwards to `upstream`, both "host:port".

    `hits` counts how often each fault has really hit: calls, for `refuse` and `reset` connections.
    """

    FAULTS: ClassVar[tuple[str, ...]]

    def __init__(self, listen: str, upstream: str) -> None:
        self.front = TcpFront(listen)
        self.hits: Counter[str] = Counter()
        self._upstream = upstream
        self._active: Counter[str] = Counter()
        self._random = random.Random()  # noqa: S311 - chance, not secrets

    async def inject(self, fault: str, seconds: float) -> None:
        """Activate the fault for `seconds`; several may overlap. Raises ValueError if unknown."""
        if fault not in self.FAULTS:
            raise ValueError(f"no such fault: {fault}; known: {', '.join(sorted(self.FAULTS))}")
        self._active[fault] += 1
        try:
            match fault:
                case "refuse":
                    await self._refuse(seconds)
                case "reset":
                    await self._reset(seconds)
                case _:
                    self._begin(fault)
                    await asyncio.sleep(seconds)
        finally:
            self._active[fault] -= 1

    @contextlib.asynccontextmanager
    async def injected(self, fault: str, seconds: float = 30) -> AsyncIterator[None]:
        """Have the fault active for the block, or for `seconds` if those are less."""
        injecting = asyncio.create_task(self.inject(fault, seconds))
        await asyncio.sleep(0)
        try:
            yield
        finally:
            injecting.cancel()
            await asyncio.gather(injecting, return_exceptions=True)

    def _begin(self, fault: str) -> None:
        """Do what a proxy does when a fault begins, before it hits any call."""

    def _hit(self, fault: str, share: float = SHARE) -> bool:
        """Decide whether the fault hits this call, and count it if it does."""
        if not self._active[fault] or self._random.random() >= share:
            return False
        self.hits[fault] += 1
        return True

    def _delay(self, longest: float) -> float:
        """Return the seconds of `delay` for this call; 0 while that fault is not active."""
        return self._random.uniform(0, longest) if self._hit("delay", 1.0) else 0.0

    async def _refuse(self, seconds: float) -> None:
        """Close the port and its connections, and open it again after `seconds`."""
        self.hits["refuse"] += self.front.close()
        try:
            await asyncio.sleep(seconds)
        finally:
            if self._active["refuse"] == 1:  # the last of those that overlap
                await self.front.open()

    async def _reset(self, seconds: float) -> None:
        """Reset all connections now, and repeatedly until `seconds` have passed."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            self.hits["reset"] += self.front.reset_all()
            await asyncio.sleep(min(left, self._random.uniform(*RESET_EVERY_SECONDS)))
