"""Which server replays the spool: the one that holds a lock, which goes with its process."""

import fcntl
import os
from pathlib import Path
from typing import Final

from server.spool.state import Flag

SILENT_SECONDS: Final = 30.0
"""A replayer that shows nothing for so long is suspended: another does its work beside it.

Two at once are no danger, only a waste (see `server.spool.store`): each message may go out twice.
"""


class Lead:
    """A process's claim to the lock."""

    def __init__(self, folder: Path, flag: Flag) -> None:
        self._descriptor = os.open(folder / "replayer.lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._flag = flag

    def take(self) -> bool:
        """Say whether this process is to replay now; never waits."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return not 0 <= self._flag.silent_seconds() <= SILENT_SECONDS
        return True

    def leave(self) -> None:
        """Let another have it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the claim up."""
        os.close(self._descriptor)
