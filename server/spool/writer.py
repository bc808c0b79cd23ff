"""The event loop's way into the spool: stored in a thread, one commit for all that has gathered."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, Final

from ops.runtime.batched_commit import BatchedCommit
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
        self._commits = BatchedCommit(self._commit, executor)

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
        try:
            async with asyncio.timeout(self._append_seconds):
                return await self._commits.add(messages)
        except TimeoutError:
            raise SpoolFailed(_TOO_SLOW) from None
        except Exception as error:
            raise SpoolFailed(str(error)) from error

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

    def _commit(self, groups: list[Sequence[Any]]) -> list[int]:
        """Store groups of messages, each of one key; return how many of each."""
        assert not isinstance(self._store, str)  # noqa: S101  # `append` has seen to it
        return self._store.append(
            [[(each.ordering_key, each.SerializeToString()) for each in group] for group in groups]
        )
