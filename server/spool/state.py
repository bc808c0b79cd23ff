"""The spool's state: a byte that all servers of a machine share, read without a system call.

It changes only inside a write transaction of the spool (`server.spool.store`), which one process
at a time holds; so whoever empties the spool and whoever fills it never miss one another.
"""

import mmap
import os
import time
from pathlib import Path
from typing import Final

EMPTY: Final = 0
"""Nothing is spooled: messages go to Pub/Sub."""

SPOOLING: Final = 1
"""The spool may hold messages: all later ones go behind them."""

HOLDING: Final = 2
"""As SPOOLING, but the last ones are on their way: wait a moment, it may be over."""

BARRED: Final = 3
"""As SPOOLING, but its messages are refused for good or unreadable: nothing more is accepted."""

_SIZE = 16  # the state, seven bytes of nothing, the heartbeat
_BEAT = slice(8, 16)


class Flag:
    """The byte, and beside it when the replayer last showed that it works."""

    def __init__(self, path: Path) -> None:
        """Map the file, made when it is missing. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # A hole in the file would need room on a full disk when it is written to, and a page
            # that cannot be had ends the process.
            os.posix_fallocate(descriptor, 0, _SIZE)
            self._map = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)

    @property
    def state(self) -> int:
        """Return EMPTY, SPOOLING, HOLDING or BARRED."""
        return self._map[0]

    @state.setter
    def state(self, state: int) -> None:
        self._map[0] = state

    def beat(self) -> None:
        """Show that the replayer works."""
        self._map[_BEAT] = time.monotonic_ns().to_bytes(8)

    def silent_seconds(self) -> float:
        """Return how long the replayer has shown nothing; negative after the machine restarted."""
        return (time.monotonic_ns() - int.from_bytes(self._map[_BEAT])) / 1e9

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()
