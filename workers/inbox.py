"""The inbox: what has been pulled and no batch has taken yet."""

import asyncio
from collections import deque
from collections.abc import Iterable

from workers.delivery import Delivery


class Inbox:
    """Deliveries that no batch has taken yet, in order. Bounded by the stream's flow control."""

    def __init__(self) -> None:
        self._deliveries: deque[Delivery] = deque()
        self._arrived = asyncio.Event()  # also set when closed: nobody waits then
        self.closed = False

    def __len__(self) -> int:
        return len(self._deliveries)

    def put(self, deliveries: Iterable[Delivery]) -> None:
        """Add deliveries; must not block."""
        self._deliveries.extend(deliveries)
        if self._deliveries:
            self._arrived.set()

    def close(self) -> None:
        """Let no one wait any longer: the worker stops."""
        self.closed = True
        self._arrived.set()

    def take(self) -> Delivery:
        """Remove and return the oldest; raises IndexError when there is none."""
        delivery = self._deliveries.popleft()
        self._clear_when_empty()
        return delivery

    def _clear_when_empty(self) -> None:
        if not self._deliveries and not self.closed:
            self._arrived.clear()

    def peek(self) -> Delivery | None:
        """Return the oldest without removing it."""
        return self._deliveries[0] if self._deliveries else None

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until there is a delivery, at most so long; tell whether there is one."""
        try:
            await asyncio.wait_for(self._arrived.wait(), seconds)
        except TimeoutError:
            return False
        return bool(self._deliveries)

    def drain(self) -> list[Delivery]:
        """Remove and return all."""
        drained = list(self._deliveries)
        self._deliveries.clear()
        self._clear_when_empty()
        return drained
