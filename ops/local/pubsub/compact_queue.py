"""A queue of messages that wait for delivery, at eight bytes each, however long the backlog.

An entry is one integer: the message's sequence number, which is its place in publish order, above
its size in 24 bits, enough for Pub/Sub's largest message of 10 MB. Entries sort in publish order.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

_SIZE_BITS = 24
_SIZE_MASK = (1 << _SIZE_BITS) - 1
_TRIM_AT = 4096


def pack(seq: int, size: int) -> int:
    """Return the entry of a message of `size` bytes."""
    return seq << _SIZE_BITS | size


def seq_of(entry: int) -> int:
    return entry >> _SIZE_BITS


def size_of(entry: int) -> int:
    return entry & _SIZE_MASK


class CompactQueue:
    """Entries in ascending order, taken at the front, added at either end."""

    __slots__ = ("_entries", "_head")

    def __init__(self) -> None:
        self._entries = array("q")
        self._head = 0

    def __len__(self) -> int:
        return len(self._entries) - self._head

    def push(self, entry: int) -> None:
        """Add an entry later than all others."""
        self._entries.append(entry)

    def push_front(self, entries: Sequence[int]) -> None:
        """Put back ascending entries that are earlier than all others."""
        start = max(0, self._head - len(entries))
        self._entries[start : self._head] = array("q", entries)
        self._head = start

    def pop(self) -> int:
        """Take the earliest entry; the queue must not be empty."""
        entry = self._entries[self._head]
        self._head += 1
        if self._head >= _TRIM_AT and self._head * 2 >= len(self._entries):
            del self._entries[: self._head]
            self._head = 0
        return entry

    def has(self, seq: int) -> bool:
        at = bisect_left(self._entries, pack(seq, 0), self._head)
        return at < len(self._entries) and seq_of(self._entries[at]) == seq

    def drop_through(self, seq: int) -> int:
        """Drop every message up to and including `seq`; return how many were dropped."""
        before = len(self)
        end = bisect_right(self._entries, pack(seq, _SIZE_MASK), self._head)
        del self._entries[:end]
        self._head = 0
        return before - len(self)
