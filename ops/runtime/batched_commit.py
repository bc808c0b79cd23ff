"""Group commit: what gathers while a blocking commit runs goes into the next one together."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any


class BatchedCommit[Item, Result]:
    """Make it in the running loop. `commit` takes items in order and returns a result for each.

    It runs in `executor`, one call at a time. Its error is that of all its items. An item whose
    future was cancelled before its commit began is left out.
    """

    def __init__(
        self, commit: Callable[[list[Item]], Sequence[Result]], executor: Executor
    ) -> None:
        self._commit = commit
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    def add(self, item: Item) -> asyncio.Future[Result]:
        """Queue an item; does not block. The future has its result once it is committed."""
        done: asyncio.Future[Result] = self._loop.create_future()
        done.add_done_callback(_retrieve)
        self._waiting.append((item, done))
        if self._running is None:
            self._running = self._loop.create_task(self._run(), name="commits")
        return done

    async def close(self) -> None:
        """Return when all that was added is committed."""
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                if batch := [each for each in batch if not each[1].done()]:
                    await self._commit_together(batch)
        finally:
            self._running = None

    async def _commit_together(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        items = [item for item, _ in batch]
        try:
            results = await self._loop.run_in_executor(self._executor, self._commit, items)
        except Exception as error:  # noqa: BLE001  # whatever it is, these items fail
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), result in zip(batch, results, strict=True):
            if not done.done():
                done.set_result(result)


def _retrieve(done: asyncio.Future[Any]) -> None:
    """Mark the exception as retrieved, so that asyncio does not warn: its caller may be gone."""
    if not done.cancelled():
        done.exception()
