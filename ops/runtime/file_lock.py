"""A lock between processes: flock(2) on a file or folder, which ends with its process."""

import fcntl
import os
from pathlib import Path


class FileLock:
    """One process's handle of a lock; `close`, or the process's end, releases it."""

    def __init__(self, path: Path) -> None:
        """Open a folder, or a file, which is created if it is missing. Raises OSError."""
        flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
        self._descriptor = os.open(path, flags, 0o600)

    def fileno(self) -> int:
        return self._descriptor

    def try_exclusive(self) -> bool:
        """Return whether no other process has the lock and this one now does; never waits."""
        try:
            fcntl.flock(self, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait_exclusive(self) -> None:
        fcntl.flock(self, fcntl.LOCK_EX)

    def wait_shared(self) -> None:
        """Take the lock together with others; an exclusive lock becomes a shared one."""
        fcntl.flock(self, fcntl.LOCK_SH)

    def release(self) -> None:
        fcntl.flock(self, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._descriptor)
