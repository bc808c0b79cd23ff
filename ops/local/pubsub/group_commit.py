"""Group commit: one writer thread; each transaction holds all writes queued during the last one.

A write is done when its transaction is on disk. Writes take effect in the order in which they were
submitted, and their callbacks run in that order too.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The most writes in one transaction; it limits how long their callers wait.
_MAX_GROUP = 256


@dataclass(frozen=True, slots=True)
class _Write:
    run: Callable[[sqlite3.Connection], Any]
    then: Callable[[Any], None] | None
    done: asyncio.Future[Any]


class GroupCommit:
    """Runs writes in one thread, on a connection that nothing else uses."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commits", daemon=True)
        self._thread.start()

    def submit[T](
        self, run: Callable[[sqlite3.Connection], T], then: Callable[[T], None] | None = None
    ) -> asyncio.Future[T]:
        """Queue a write; the future holds its result once it is on disk.

        `then` is called on the loop before the future is done. When a commit fails, every write of
        its group fails with the same error, mostly a `sqlite3.Error`, and none has taken effect.
        """
        done: asyncio.Future[T] = self._loop.create_future()
        done.add_done_callback(_seen)
        self._queue.put(_Write(run, then, done))
        return done

    async def close(self) -> None:
        """Commit the queued writes, then end the thread and close the connection."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        closing = False
        while not closing:
            group = [self._queue.get()]
            while len(group) < _MAX_GROUP and not self._queue.empty():
                group.append(self._queue.get())
            closing = group[-1] is None
            writes = [write for write in group if write is not None]
            if writes:
                self._commit(writes)
        self._connection.close()

    def _commit(self, writes: list[_Write]) -> None:
        results: list[Any] = []
        failure: Exception | None = None
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = [write.run(self._connection) for write in writes]
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - passed to the callers; this thread must go on
            failure = error
            # If even this fails, the next write fails too and comes back here.
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        self._loop.call_soon_threadsafe(_finish, writes, results, failure)


def _finish(writes: list[_Write], results: list[Any], failure: Exception | None) -> None:
    if failure is not None:
        for write in writes:
            if not write.done.done():
                write.done.set_exception(failure)
        return
    for write, result in zip(writes, results, strict=True):
        if write.then is not None:
            write.then(result)
        if not write.done.done():
            write.done.set_result(result)


def _seen(done: asyncio.Future[Any]) -> None:
    """Retrieve the exception: asyncio logs it otherwise when a caller does not wait."""
    if not done.cancelled():
        done.exception()
