"""What waits to be published: a queue for each ordering key, one call at a time for each.

Pure bookkeeping, no I/O. Pub/Sub takes one ordering key in a Publish call, at most 1,000 messages
and 10 MB (https://cloud.google.com/pubsub/quotas#resource_limits; the field's own documentation,
https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1#pubsubmessage).
"""

import asyncio
from collections import deque
from operator import attrgetter
from typing import Any

from schema import MAX_CALL_BYTES, MAX_CALL_MESSAGES, publish_calls


class Entry:
    """One message on its way: `size` its bytes on the wire, `confirmed` its outcome.

    That is False when Pub/Sub has confirmed it, True when the spool has it.
    """

    __slots__ = ("confirmed", "key", "message", "since", "size")

    def __init__(
        self, key: str, message: Any, size: int, since: float, confirmed: asyncio.Future[bool]
    ) -> None:
        self.key = key
        self.message = message
        self.size = size
        self.since = since
        self.confirmed = confirmed


class Backlog:
    """Entries by ordering key. Keys are served in turn; a key taken stays out until `release`d."""

    def __init__(
        self, max_messages: int = MAX_CALL_MESSAGES, max_bytes: int = MAX_CALL_BYTES
    ) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._waiting: dict[str, deque[Entry]] = {}
        self._turns: deque[str] = deque()
        self._taken: set[str] = set()
        self.messages = 0
        """Entries waiting for a call."""

    def add(self, entry: Entry) -> None:
        """Put an entry at the end of its key's queue."""
        queue = self._waiting.get(entry.key)
        if queue is None:
            queue = self._waiting[entry.key] = deque()
            if entry.key not in self._taken:
                self._turns.append(entry.key)
        queue.append(entry)
        self.messages += 1

    def take(self) -> list[Entry] | None:
        """Take the next key's entries, in order, as many as one call holds; None: none is free."""
        if not self._turns:
            return None
        key = self._turns.popleft()
        queue = self._waiting[key]
        calls = publish_calls(queue, attrgetter("size"), self._max_messages, self._max_bytes)
        entries = next(calls)
        if len(entries) == len(queue):
            del self._waiting[key]
        else:
            for _ in entries:
                queue.popleft()
        self._taken.add(key)
        self.messages -= len(entries)
        return entries

    def drop(self, key: str) -> list[Entry]:
        """Take every entry of a taken key out of line, in order: they will not be sent."""
        entries = list(self._waiting.pop(key, ()))
        self.messages -= len(entries)
        return entries

    def release(self, key: str) -> None:
        """Let a key's later entries go: its call has ended, one way or the other."""
        self._taken.remove(key)
        if key in self._waiting:
            self._turns.append(key)
