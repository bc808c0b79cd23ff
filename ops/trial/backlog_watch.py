"""Whether the fleet is behind: how many messages wait, asked for during the load."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from ops.trial.fleet_reader import POLL_SECONDS, Unreachable


class BacklogSource(Protocol):
    """What is asked: `ops.trial.fleet_reader.FleetReader`."""

    async def backlog(self) -> int:
        """Return how many messages are not acknowledged; raises Unreachable."""


@dataclass(eq=False)
class BacklogWatch:
    """`async with watch.running():` asks every `pause` seconds; `limit` is in messages."""

    source: BacklogSource
    limit: int
    pause: float = POLL_SECONDS
    _unacked: int = field(default=0, init=False)

    @property
    def is_behind(self) -> bool:
        """Whether more messages wait than the limit, by the last answer."""
        return self._unacked > self.limit

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask while the block runs."""
        task = asyncio.create_task(self._ask_forever(), name="backlog")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _ask_forever(self) -> None:
        while True:
            with contextlib.suppress(Unreachable):  # a fault: the last answer stands
                self._unacked = await self.source.backlog()
            await asyncio.sleep(self.pause)
