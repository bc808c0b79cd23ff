"""Puts the spool together: its files, its writer, its replayer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from ops.runtime import log, metrics
from ops.runtime.settings import Settings
from server.publish.publisher import Destination
from server.spool.database import SpoolFailed
from server.spool.replay_lock import Lead
from server.spool.replayer import Replayer
from server.spool.state import EMPTY, Flag
from server.spool.store import Store
from server.spool.writer import Writer

logger = log.get(__name__)


def folder(settings: Settings) -> Path:
    """Return where the spool of the settings' topic lies."""
    return settings.state_dir.absolute() / "spool" / settings.project_id / settings.topic_id


@contextlib.asynccontextmanager
async def opened(settings: Settings, destination: Destination) -> AsyncIterator[Writer | None]:
    """Yield the way into the spool, and replay what is in it; None when it is switched off.

    Switched off with messages left in it, it takes no more and they are replayed all the same.
    A spool that cannot be opened is told in the log and leaves a gate without one, which accepts
    nothing as long as other servers have messages in it.
    """
    metrics.SPOOL_MAX_BYTES.set(settings.spool_max_bytes)
    if settings.spool_max_bytes == 0 and not folder(settings).exists():
        yield None
        return
    async with contextlib.AsyncExitStack() as stack:
        yield await _opened(settings, destination, stack)


async def _opened(
    settings: Settings, destination: Destination, stack: contextlib.AsyncExitStack
) -> Writer | None:
    place = folder(settings)
    writing = stack.enter_context(ThreadPoolExecutor(1, "spool"))
    replaying = stack.enter_context(ThreadPoolExecutor(1, "spool-replay"))
    try:
        flag = await _in(writing, _flag, place)
    except OSError as error:
        logger.exception("spool_unavailable", error=str(error))
        return None
    stack.callback(flag.close)
    try:
        store = await _store(stack, writing, place, flag, settings.spool_max_bytes)
        replayed = await _store(stack, replaying, place, flag, settings.spool_max_bytes)
        lead = Lead(place, flag)
    except (OSError, SpoolFailed) as error:
        logger.exception("spool_unavailable", error=str(error))
        return Writer(flag, f"the spool cannot be opened: {error}", writing)
    stack.callback(lead.close)
    if settings.spool_max_bytes == 0 and flag.state == EMPTY:
        return None
    replayer = Replayer(replayed, flag, lead, destination, replaying)
    await stack.enter_async_context(replayer.running())
    return Writer(flag, store, writing)


async def _store(
    stack: contextlib.AsyncExitStack, executor: Executor, place: Path, flag: Flag, max_bytes: int
) -> Store:
    store = await _in(executor, Store, place, flag, max_bytes)
    stack.push_async_callback(_in, executor, store.close)
    return store


async def _in[T, *Ts](executor: Executor, call: Callable[[*Ts], T], *values: *Ts) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, call, *values)


def _flag(place: Path) -> Flag:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold what teams send
    return Flag(place / "flag")
