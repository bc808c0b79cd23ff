"""Claims: what one worker of a machine is committing, no other commits at the same time.

Pub/Sub may deliver a message to a second worker while the first still has it: a delivery lay in a
socket for longer than its lease, a process was suspended, the service delivered twice. The
ledger's guard keeps out a transaction that was committed before; it does not see one that commits
at the same instant, as inserts do not conflict in BigQuery. So a worker claims the ordering keys of
its batch before it commits, and holds them until every outcome is known.

The claims are the operating system's locks on the bytes of one file, so they go with the process
that holds them; one that is suspended holds them still. Beside each byte stands until when a job of
its last holder may run: whoever takes over from a process that died waits for that, too. It is
never longer than a lease, after which alone a dead worker's messages come back.

Holds for the workers of one machine that share STATE_DIR. Several machines on one subscription have
what Pub/Sub promises: a message is with one of them as long as its lease lasts.
"""

import asyncio
import contextlib
import fcntl
import mmap
import os
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final

from ops.runtime import log
from ops.runtime.settings import Settings

SLOTS: Final = 65_536
"""Keys share a slot by chance: two workers then wait for one another now and then, no more."""

LONGEST_SECONDS: Final = 600.0
"""The longest lease; what is noted for later than that is of another start of the machine."""

_POLL_SECONDS = 0.02
_TELL_SECONDS = 10.0
_NOTE_BYTES = 8

logger = log.get(__name__)


class Unclaimed(Exception):
    """Another worker has the keys, and there is no time left to wait for it."""


class Claims:
    """One process's claims. Times are of the monotonic clock, which is the machine's."""

    def __init__(self, path: Path) -> None:
        """Open the file, made when it is missing. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        # Holes would need room on a full disk when they are written to.
        os.posix_fallocate(self._file, 0, SLOTS * _NOTE_BYTES)
        self._notes = mmap.mmap(self._file, SLOTS * _NOTE_BYTES)

    @classmethod
    def of(cls, settings: Settings) -> "Claims":
        """Open the claims on a subscription."""
        folder = settings.state_dir.absolute() / "claims" / settings.project_id
        return cls(folder / settings.subscription_id)

    @contextlib.asynccontextmanager
    async def held(self, keys: Iterable[str], left: Callable[[], float]) -> AsyncIterator["Claim"]:
        """Hold the keys during the block, waited for as long as there is time `left`, in seconds.

        Raises Unclaimed. An exception of the block leaves what is noted: its jobs may still run.
        """
        claim = Claim(self._notes, sorted({zlib.crc32(key.encode()) % SLOTS for key in keys}))
        await self._wait("another worker", lambda: self._lock(claim.slots), left)
        try:
            await self._wait("a job of one that died", lambda: not claim.busy(), left)
            yield claim
            claim.note(0.0)
        finally:
            self._unlock(claim.slots)

    def close(self) -> None:
        """Close the file, and give all up."""
        self._notes.close()
        os.close(self._file)

    @staticmethod
    async def _wait(whom: str, ready: Callable[[], bool], left: Callable[[], float]) -> None:
        told = time.monotonic() + _TELL_SECONDS
        while not ready():
            if left() <= 0:
                raise Unclaimed(f"{whom} has the batch's ordering keys")
            if time.monotonic() > told:
                told += _TELL_SECONDS
                logger.warning("claim_waits", for_=whom)
            await asyncio.sleep(_POLL_SECONDS)

    def _lock(self, slots: list[int]) -> bool:
        """Lock all or none; never waits, so nobody waits for one another."""
        for count, slot in enumerate(slots):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
            except OSError:
                self._unlock(slots[:count])
                return False
        return True

    def _unlock(self, slots: list[int]) -> None:
        for slot in slots:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, slot)


class Claim:
    """Slots that are held, and what is noted beside them."""

    def __init__(self, notes: mmap.mmap, slots: list[int]) -> None:
        self._notes = notes
        self.slots = slots
        self._until = 0.0

    def note(self, until: float) -> None:
        """Note that a job may run until then; 0 that none does."""
        if until != self._until:
            self._until = until
            value = int(until * 1e9).to_bytes(_NOTE_BYTES)
            for slot in self.slots:
                self._notes[slot * _NOTE_BYTES : (slot + 1) * _NOTE_BYTES] = value

    def busy(self) -> bool:
        """Tell whether a job that an earlier holder has noted may still run."""
        noted = (
            int.from_bytes(self._notes[slot * _NOTE_BYTES : (slot + 1) * _NOTE_BYTES]) / 1e9
            for slot in self.slots
        )
        return 0 < max(noted, default=0.0) - time.monotonic() <= LONGEST_SECONDS
