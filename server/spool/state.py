"""What all servers of a machine share in addition to the database: the flag and the replay lock.

The flag is a byte that is read without a system call. It changes only inside a write transaction
of the spool (`server.spool.store`), which one process at a time holds; so the process that empties
the spool and one that fills it never miss one another.
"""

import mmap
import os
import time
from pathlib import Path
from typing import Final

from ops.runtime.file_lock import FileLock

EMPTY: Final = 0
"""Nothing is spooled: messages go to Pub/Sub."""

SPOOLING: Final = 1
"""The spool may hold messages: all later ones go behind them."""

DRAINING: Final = 2
"""As SPOOLING, but the last messages are being published: wait a moment, it may soon be empty."""

BLOCKED: Final = 3
"""As SPOOLING, but its messages cannot be published or read: no more are accepted."""

SILENT_SECONDS: Final = 30.0
"""A replayer without a heartbeat for this long is suspended: another works in addition to it.

Two replayers are no danger, only a waste (see `server.spool`): each message may go out twice.
"""

_SIZE = 16  # the state, seven unused bytes, the heartbeat
_HEARTBEAT = slice(8, 16)


class SpoolFlag:
    """The state, and the time of the replayer's last heartbeat."""

    def __init__(self, path: Path) -> None:
        """Map the file, which is created if it is missing. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Writing to a hole in the file needs room on the disk; where there is none, the
            # process dies of SIGBUS.
            os.posix_fallocate(descriptor, 0, _SIZE)
            self._map = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)

    @property
    def state(self) -> int:
        """EMPTY, SPOOLING, DRAINING or BLOCKED."""
        return self._map[0]

    @state.setter
    def state(self, state: int) -> None:
        self._map[0] = state

    def heartbeat(self) -> None:
        self._map[_HEARTBEAT] = time.monotonic_ns().to_bytes(8)

    def heartbeat_age(self) -> float:
        """Return the seconds since the last heartbeat; negative after the machine restarted."""
        return (time.monotonic_ns() - int.from_bytes(self._map[_HEARTBEAT])) / 1e9

    def close(self) -> None:
        self._map.close()


class ReplayLock:
    """Decides which server replays; its lock ends with its process."""

    def __init__(
        self, folder: Path, flag: SpoolFlag, silent_seconds: float = SILENT_SECONDS
    ) -> None:
        self._lock = FileLock(folder / "replayer.lock")
        self._flag = flag
        self._silent_seconds = silent_seconds
        self.release = self._lock.release
        self.close = self._lock.close

    def try_acquire(self) -> bool:
        """Return whether this process is to replay now; never waits."""
        if self._lock.try_exclusive():
            return True
        return not 0 <= self._flag.heartbeat_age() <= self._silent_seconds
