"""Message bodies: the recent ones in memory, up to a fixed size, the others on disk."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from ops.local.pubsub.message_store import MessageRow, MessageStore

_MAX_BYTES = 32_000_000


class BodyCache:
    """Reads bodies by sequence number; a message just published needs no read from disk."""

    def __init__(self, store: MessageStore, max_bytes: int = _MAX_BYTES) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._bytes = 0
        self._recent: OrderedDict[int, bytes] = OrderedDict()

    def add(self, rows: Iterable[MessageRow]) -> None:
        """Add new messages, and remove the oldest beyond the maximum size."""
        for row in rows:
            self._recent[row.seq] = row.body
            self._bytes += len(row.body)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._recent.popitem(last=False)[1])

    async def read(self, seqs: Sequence[int]) -> dict[int, bytes]:
        """Return the bodies of those of these messages that still exist."""
        recent = self._recent
        found = {seq: recent[seq] for seq in seqs if seq in recent}
        missing = [seq for seq in seqs if seq not in found]
        return found | await self._store.bodies(missing) if missing else found
