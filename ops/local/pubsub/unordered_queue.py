"""The waiting messages without an ordering key: new ones, returned ones, and those in backoff."""

import heapq
from collections import deque

from ops.local.pubsub.compact_queue import CompactQueue, pack


class UnorderedQueue:
    """Entries of `compact_queue`; returned messages come before new ones."""

    def __init__(self) -> None:
        self._new = CompactQueue()
        self._returned: deque[int] = deque()
        self._backoff: list[tuple[float, int]] = []  # (ready at, entry)

    def __len__(self) -> int:
        """How many messages could be delivered now."""
        return len(self._returned) + len(self._new)

    def push(self, entry: int) -> None:
        """Add a message later than all others."""
        self._new.push(entry)

    def pop(self) -> int:
        """Take the next message; there must be one."""
        return self._returned.popleft() if self._returned else self._new.pop()

    def give_back(self, entry: int, ready_at: float, now: float) -> None:
        if ready_at > now:
            heapq.heappush(self._backoff, (ready_at, entry))
        else:
            self._returned.append(entry)

    def has_new(self, seq: int) -> bool:
        return self._new.has(seq)

    def end_backoffs(self, now: float) -> None:
        while self._backoff and self._backoff[0][0] <= now:
            self._returned.append(heapq.heappop(self._backoff)[1])

    def next_ready(self) -> float | None:
        """Return when the next backoff ends."""
        return self._backoff[0][0] if self._backoff else None

    def drop_through(self, seq: int) -> int:
        """Drop every message up to and including `seq`; return how many were dropped."""
        keep = pack(seq + 1, 0)
        before = len(self._returned) + len(self._backoff)
        self._returned = deque(entry for entry in self._returned if entry >= keep)
        self._backoff = [item for item in self._backoff if item[1] >= keep]
        heapq.heapify(self._backoff)
        dropped = before - len(self._returned) - len(self._backoff)
        return dropped + self._new.drop_through(seq)
