"""The event loop's way into the spool: stored in a thread, one commit for all that has gathered."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, Final, NamedTuple

from server.publish import SpoolFailed
from server.spool.state import BLOCKED, DRAINING, EMPTY, SpoolFlag
from server.spool.store import SpoolStore

APPEND_SECONDS: Final = 5.0
"""How long a message may take to be durable; a slower disk counts as failed."""

DRAIN_SECONDS: Final = 0.5
"""How long messages wait for a spool that is about to be empty, before they go into it."""

_DRAIN_POLL_SECONDS = 0.005
_BLOCKED = "the messages in the spool cannot be published"
_TOO_SLOW = "the disk is too slow"


class _Group(NamedTuple):
    """Messages of one key, in order; `stored` is how many of them are."""

    messages: Sequence[Any]
    stored: asyncio.Future[int]


class SpoolWriter:
    """Stores messages. Make it in the running loop; `executor` has one thread, the store's."""

    def __init__(
        self,
        flag: SpoolFlag,
        store: SpoolStore | str,
        executor: Executor,
        *,
        append_seconds: float = APPEND_SECONDS,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        """Take a store, or why there is none: then the flag is obeyed and nothing is stored."""
        self._flag = flag
        self._store = store
        self._executor = executor
        self._append_seconds = append_seconds
        self._drain_seconds = drain_seconds
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Group] = []
        self._storing: asyncio.Task[None] | None = None

    @property
    def in_use(self) -> bool:
        """Whether messages must go through the spool; costs next to nothing."""
        return self._flag.state != EMPTY

    async def fault(self, seconds: float) -> str | None:
        """Return why a message would not be stored now, or None."""
        if isinstance(self._store, str):
            return self._store
        if self._flag.state == BLOCKED:
            return _BLOCKED
        try:
            async with asyncio.timeout(seconds):
                await self._loop.run_in_executor(self._executor, self._store.check_room)
        except TimeoutError:
            return _TOO_SLOW
        except SpoolFailed as error:
            return str(error)
        return None

    async def append(self, messages: Sequence[Any]) -> int:
        """Store protobuf messages of one key, in order; return how many, from the first on.

        Those are durable; there is no room for the rest. Raises SpoolFailed if none is stored;
        after a disk that was too slow, some may be stored nonetheless.
        """
        if isinstance(self._store, str):
            raise SpoolFailed(self._store)
        if self._flag.state == BLOCKED:
            raise SpoolFailed(_BLOCKED)
        group = _Group(messages, self._loop.create_future())
        self._waiting.append(group)
        if self._storing is None:
            self._storing = self._loop.create_task(self._store_all(self._store), name="spool")
        try:
            async with asyncio.timeout(self._append_seconds):
                return await group.stored
        except TimeoutError:
            if group in self._waiting:
                self._waiting.remove(group)
            raise SpoolFailed(_TOO_SLOW) from None

    async def wait_while_draining(self) -> bool:
        """Wait while the spool is about to be empty; return whether it is still in use."""
        give_up = self._loop.time() + self._drain_seconds
        # A replayer without a heartbeat keeps no message waiting.
        while (  # noqa: ASYNC110  # it changes in other processes
            self._flag.state == DRAINING
            and self._loop.time() < give_up
            and self._flag.heartbeat_age() < self._drain_seconds
        ):
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        return self.in_use

    async def _store_all(self, store: SpoolStore) -> None:
        try:
            while self._waiting:
                groups, self._waiting = self._waiting, []
                await self._commit(store, groups)
        finally:
            self._storing = None

    async def _commit(self, store: SpoolStore, groups: list[_Group]) -> None:
        def append() -> list[int]:
            return store.append(
                [
                    [(each.ordering_key, each.SerializeToString()) for each in group.messages]
                    for group in groups
                ]
            )

        try:
            counts = await self._loop.run_in_executor(self._executor, append)
        except Exception as error:  # noqa: BLE001  # whatever it is, these messages fail
            for group in groups:
                if not group.stored.done():
                    group.stored.set_exception(SpoolFailed(str(error)))
            return
        for group, count in zip(groups, counts, strict=True):
            if not group.stored.done():
                group.stored.set_result(count)
