"""Turns: workers of one machine do not change the same table at the same time.

Transactions on several tables make them meet: an ordering key is one worker's, its tables are not.
Of two BigQuery transactions that delete from one table one is cancelled
(https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency), seconds of work for
nothing, and the larger batch, which takes longer, loses again and again. So a worker waits for its
turn at the tables of its batch. Inserts get along with inserts: they share a turn.

Turns only save work: without them, as between machines, conflicts are told and tried again. So
whoever has waited for long, as for a process that is suspended, goes on without.

They are the operating system's locks on the bytes of one file, and go with the process that has
them. All take them in one order, so nobody waits in a circle.
"""

import asyncio
import contextlib
import fcntl
import os
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from ops.runtime import log
from ops.runtime.settings import Settings
from workers.claims import Unclaimed
from workers.entry import Entry

SLOTS: Final = 65_536
"""Tables share a slot by chance: two workers then wait for one another now and then, no more."""

PATIENCE_SECONDS: Final = 30.0
"""For all of a batch's tables: several jobs of others, each of some seconds."""

_POLL_SECONDS = 0.01

logger = log.get(__name__)


def tables(entries: Iterable[Entry]) -> dict[str, bool]:
    """Return the tables that entries change, and whether rows may go from each."""
    found: dict[str, bool] = {}
    for entry in entries:
        for activity in entry.transaction.activities if entry.transaction else ():
            if activity.operation == "delete":
                found[activity.table] = True
            else:
                found.setdefault(activity.table, False)
    return found


async def _nothing() -> None:
    pass


class Turns:
    """One process's turns."""

    def __init__(self, path: Path) -> None:
        """Open the file, made when it is missing. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    @classmethod
    def of(cls, settings: Settings) -> "Turns":
        """Open the turns at the tables of a dataset."""
        folder = settings.state_dir.absolute() / "turns" / settings.project_id
        return cls(folder / settings.dataset_id)

    @contextlib.asynccontextmanager
    async def held(
        self,
        changed: Mapping[str, bool],
        left: Callable[[], float],
        meanwhile: Callable[[], Awaitable[None]] = _nothing,
    ) -> AsyncIterator[None]:
        """Have the tables during the block; `changed` is as `tables` tells it.

        Waits for them while there is time `left`, in seconds, and raises Unclaimed when it is over;
        goes on without after PATIENCE_SECONDS. Awaits `meanwhile` again and again as it waits.
        """
        slots: dict[int, bool] = {}
        for table, alone in changed.items():
            slot = zlib.crc32(table.encode()) % SLOTS
            slots[slot] = slots.get(slot, False) or alone
        taken: list[int] = []
        give_up = time.monotonic() + PATIENCE_SECONDS
        try:
            for slot in sorted(slots):
                while not self._take(slot, alone=slots[slot]):
                    if left() <= 0:
                        raise Unclaimed("another worker changes the batch's tables")
                    if time.monotonic() > give_up:
                        logger.warning("turn_given_up", tables=len(changed))
                        break
                    await asyncio.sleep(_POLL_SECONDS)
                    await meanwhile()
                else:
                    taken.append(slot)
            yield
        finally:
            for slot in taken:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, slot)

    def _take(self, slot: int, *, alone: bool) -> bool:
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        try:
            fcntl.lockf(self._file, kind | fcntl.LOCK_NB, 1, slot)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the file, and give all up."""
        os.close(self._file)
