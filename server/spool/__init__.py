"""Keeps messages on disk while Pub/Sub cannot be reached, and publishes them later, in order.

All servers of a machine that publish to one topic share a spool. It must not know of HTTP, nor of
what a message means. Only this package reads its tables: others use `read_summary`, `read_refused`
and `discard_refused`.

It is a bounded SQLite database and a flag (`server.spool.state`) in
`STATE_DIR/spool/<project>/<topic>/`: messages for one topic are never published to another,
whatever the settings are at the next start.

Why no message overtakes another. Assume that a client has its 200 for m1 and then sends m2 of the
same key, perhaps to another server.

1. m1 was published: m2 is later in any case.
2. m1 was spooled: the flag was set inside the transaction that stored m1, before its commit and so
   before the 200. Only the replayer clears it, inside a write transaction in which it saw the table
   empty. SQLite lets one process write at a time, so no process can be storing anything then, and
   m1's row is gone, as Pub/Sub has confirmed it. So either the server of m2 sees the flag, and
   stores m2 behind m1, or m1 is published.
3. Within a server a key is in one delivery at a time, and the flag is read when the delivery begins
   (`server.publish.publisher`). Messages that wait behind a failed call are stored behind that
   call's messages.
4. The replayer publishes a key by sequence, a call at a time, and starts none before the previous
   one is confirmed. Every call that may have reached Pub/Sub unconfirmed (its answer lost, its
   replayer killed or suspended) holds consecutive messages behind confirmed ones. So it can arrive
   late or twice without any message's *first* copy leaving the order; later copies carry the same
   id, and the workers skip them.

Two messages have no order if neither was answered when the other was sent to another server.

A row is deleted only when Pub/Sub has confirmed its message. A message that Pub/Sub refuses moves
to the table `refused` with the reason, for a person to inspect; it counts towards the bound.

The machine itself may fail: the database is synchronous at every commit, and a server that starts
sets the flag by what the database holds. A corrupt database is moved aside, never deleted, by the
first server to start while no other has it open; until then nothing is spooled.

STATE_DIR must be a local disk: network file systems support neither SQLite's WAL nor shared
mappings.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from ops.runtime import log, metrics
from ops.runtime.settings import Settings
from server.publish import Destination, SpoolFailed
from server.spool.lookup import SpooledMessage, find_spooled
from server.spool.refused import RefusedMessage, refused_messages
from server.spool.refused import discard_refused as _discard_refused
from server.spool.replayer import Replayer
from server.spool.state import EMPTY, ReplayLock, SpoolFlag
from server.spool.store import SpoolStore, SpoolSummary
from server.spool.store import read_summary as _read_summary
from server.spool.writer import SpoolWriter

__all__ = [
    "RefusedMessage",
    "SpoolSummary",
    "SpoolWriter",
    "SpooledMessage",
    "discard_refused",
    "find",
    "open_spool",
    "read_refused",
    "read_summary",
    "spool_folder",
]

logger = log.get(__name__)


def spool_folder(settings: Settings) -> Path:
    """Return the folder of the spool of the settings' topic."""
    return settings.state_dir.absolute() / "spool" / settings.project_id / settings.topic_id


def read_summary(settings: Settings, timeout: float) -> SpoolSummary | None:
    """Return what the spool holds, None if there never was one; raises SpoolFailed. Blocks."""
    return _read_summary(spool_folder(settings), timeout)


def read_refused(settings: Settings) -> Iterator[RefusedMessage]:
    """Yield what Pub/Sub refused, in order; raises SpoolFailed. Blocks."""
    return refused_messages(spool_folder(settings))


def find(settings: Settings, id_: str) -> SpooledMessage | None:
    """Find a transaction in this machine's spool by its id; raises SpoolFailed. Blocks."""
    return find_spooled(spool_folder(settings), id_)


def discard_refused(settings: Settings, sequences: Sequence[int]) -> int:
    """Delete what Pub/Sub refused; return how many. Raises SpoolFailed and OSError. Blocks."""
    return _discard_refused(spool_folder(settings), sequences)


@contextlib.asynccontextmanager
async def open_spool(
    settings: Settings, destination: Destination
) -> AsyncIterator[SpoolWriter | None]:
    """Yield the way into the spool, and replay what is in it; None if it is switched off.

    Switched off with messages left in it, it takes no more, and they are still replayed. If the
    spool cannot be opened, an error is logged, and the server accepts nothing while other servers
    have messages in it.
    """
    metrics.SPOOL_MAX_BYTES.set(settings.spool_max_bytes)
    if settings.spool_max_bytes == 0 and not spool_folder(settings).exists():
        yield None
        return
    async with contextlib.AsyncExitStack() as stack:
        yield await _open(settings, destination, stack)


async def _open(
    settings: Settings, destination: Destination, stack: contextlib.AsyncExitStack
) -> SpoolWriter | None:
    folder = spool_folder(settings)
    writing = stack.enter_context(ThreadPoolExecutor(1, "spool"))
    replaying = stack.enter_context(ThreadPoolExecutor(1, "spool-replay"))
    try:
        flag = await _in(writing, _open_flag, folder)
    except OSError as error:
        logger.exception("spool_unavailable", error=str(error))
        return None
    stack.callback(flag.close)
    try:
        stores = []
        for executor in (writing, replaying):
            store = await _in(executor, SpoolStore, folder, flag, settings.spool_max_bytes)
            stack.push_async_callback(_in, executor, store.close)
            stores.append(store)
        lock = ReplayLock(folder, flag)
    except (OSError, SpoolFailed) as error:
        logger.exception("spool_unavailable", error=str(error))
        return SpoolWriter(flag, f"the spool cannot be opened: {error}", writing)
    stack.callback(lock.close)
    if settings.spool_max_bytes == 0 and flag.state == EMPTY:
        return None
    replayer = Replayer(stores[1], flag, lock, destination, replaying)
    await stack.enter_async_context(replayer.running())
    return SpoolWriter(flag, stores[0], writing)


async def _in[T, *Ts](executor: Executor, call: Callable[[*Ts], T], *values: *Ts) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, call, *values)


def _open_flag(folder: Path) -> SpoolFlag:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold what teams send
    return SpoolFlag(folder / "flag")
