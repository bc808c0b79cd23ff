"""Message bodies: the recent ones in memory, up to a fixed size, the others on disk."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from ops.local.pubsub.store import Row, Store

_MAX_BYTES = 32_000_000


class Bodies:
    """Reads bodies by sequence number; what was just published needs no read."""

    def __init__(self, store: Store, max_bytes: int = _MAX_BYTES) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._bytes = 0
        self._recent: OrderedDict[int, bytes] = OrderedDict()

    def keep(self, rows: Iterable[Row]) -> None:
        """Remember what was just published, and forget the oldest beyond the size."""
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
