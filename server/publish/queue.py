"""Messages that wait to be published: a queue for each ordering key, one call at a time for each.

Pure bookkeeping, no I/O. A Publish call takes messages of one ordering key only
(https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1#pubsubmessage).
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from schema.message import MAX_CALL_BYTES, MAX_CALL_MESSAGES, publish_calls


@dataclass(slots=True, eq=False)
class QueueEntry:
    """One message: `size` is its bytes on the wire, `since` the loop's time when it came in."""

    key: str
    message: Any
    size: int
    since: float
    spooled: asyncio.Future[bool]
    """The outcome: False when Pub/Sub has confirmed the message, True when the spool has it."""


class PublishQueue:
    """Entries by ordering key, served in turn; a taken key stays out until it is released."""

    def __init__(
        self, max_messages: int = MAX_CALL_MESSAGES, max_bytes: int = MAX_CALL_BYTES
    ) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._waiting: dict[str, deque[QueueEntry]] = {}
        self._ready_keys: deque[str] = deque()
        self._taken_keys: set[str] = set()
        self.messages = 0
        """Entries that wait for a call."""

    def add(self, entry: QueueEntry) -> None:
        queue = self._waiting.get(entry.key)
        if queue is None:
            queue = self._waiting[entry.key] = deque()
            if entry.key not in self._taken_keys:
                self._ready_keys.append(entry.key)
        queue.append(entry)
        self.messages += 1

    def take(self) -> list[QueueEntry] | None:
        """Take the next key's entries, in order, up to one call's limits; None if none is ready."""
        if not self._ready_keys:
            return None
        key = self._ready_keys.popleft()
        queue = self._waiting[key]
        calls = publish_calls(queue, attrgetter("size"), self._max_messages, self._max_bytes)
        entries = next(calls)
        if len(entries) == len(queue):
            del self._waiting[key]
        else:
            for _ in entries:
                queue.popleft()
        self._taken_keys.add(key)
        self.messages -= len(entries)
        return entries

    def drop(self, key: str) -> list[QueueEntry]:
        """Remove and return every entry of a taken key, in order: they will not be sent."""
        entries = list(self._waiting.pop(key, ()))
        self.messages -= len(entries)
        return entries

    def release(self, key: str) -> None:
        """Let a taken key's later entries be taken, as its call has ended."""
        self._taken_keys.remove(key)
        if key in self._waiting:
            self._ready_keys.append(key)
