"""The kinds of faults, and how each is injected."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.rig import RunFailed, clock, eventually, full_disk
from ops.rig.bigquery_proxy import BigQueryProxy
from ops.rig.disposable_fleet import DisposableFleet
from ops.rig.fault_proxy import FaultProxy
from ops.rig.pubsub_proxy import PubSubProxy
from ops.runtime.supervisord import ProcessState, SupervisordUnreachable
from ops.trial.client_stream import FOREIGN, SHARED, ClientStream
from ops.trial.fleet_reader import FleetReader, Unreachable
from ops.trial.journal import Journal

PATIENCE_SECONDS = 90.0
"""How long a fault waits for a process to hit, which may be starting again."""
QUIET_SECONDS = 20.0
"""How long a proxy's fault waits for a call to hit."""
OUTLIVE_SECONDS = 45.0
"""How long the processes of a killed supervisord may drain; their own limit is 30 s."""
_SHORT = 0.5, 2.0
_BEYOND_LEASE = 1.5, 4.0
_LONG_SHARE = 0.2
_TRIES = 3
_JUMPS = (-86_400, -3_600, -30, 30, 3_600, 86_400)

CLOCKED = ("server", "worker")
"""Programs whose clocks can be moved."""


class NothingHit(Exception):
    """A fault found nothing to hit; the text has the reason."""


@dataclass
class FaultTarget:
    """What faults are injected into."""

    fleet: DisposableFleet
    pubsub: PubSubProxy
    bigquery: BigQueryProxy
    reader: FleetReader
    journal: Journal
    streams: Sequence[ClientStream]
    clocks: Mapping[str, Path]
    """The offset files of the programs whose clocks can be moved."""
    on_surprise: Callable[[str], None]
    """Called with a failure that no fault excuses."""
    one_jump: asyncio.Lock = field(default_factory=asyncio.Lock)
    one_supervisord: asyncio.Lock = field(default_factory=asyncio.Lock)


type Fault = Callable[[FaultTarget, random.Random], Awaitable[str]]
"""Injects a fault and returns what it hit when it is over; raises NothingHit."""


# Signals.


async def _running(target: FaultTarget, group: str) -> list[ProcessState]:
    """Return a program's processes, at least one of which runs; wait until that is so."""

    async def found() -> list[ProcessState]:
        with contextlib.suppress(SupervisordUnreachable):
            states = await asyncio.to_thread(target.fleet.states, group)
            if any(each.state == "RUNNING" and each.pid for each in states):
                return [each for each in states if each.pid]
        return []

    return await _waited_for(found, f"a {group} runs")


async def _waited_for[T](condition: Callable[[], Coroutine[Any, Any, T]], what: str) -> T:
    try:
        return await eventually(condition, PATIENCE_SECONDS, what)
    except RunFailed as error:
        raise NothingHit(str(error)) from None


async def _victim(target: FaultTarget, group: str, chance: random.Random) -> ProcessState:
    running = await _running(target, group)
    return chance.choice([each for each in running if each.state == "RUNNING"])


@contextlib.contextmanager
def _signals(pid: int, name: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that sends signals to a process, and to no other with the same id later."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        raise NothingHit(f"{name} has ended") from None
    try:
        yield lambda number: signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def _kill(group: str) -> Fault:
    async def inject(target: FaultTarget, chance: random.Random) -> str:
        for _ in range(_TRIES):
            victim = await _victim(target, group, chance)
            with (
                contextlib.suppress(NothingHit, ProcessLookupError),
                _signals(victim.pid, victim.name) as send,
            ):
                send(signal.SIGKILL)
                return f"{victim.name}, pid {victim.pid}"
        raise NothingHit(f"every {group} ended by itself")

    return inject


async def _paused(name: str, pid: int, seconds: float) -> str:
    with _signals(pid, name) as send:
        try:
            send(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                send(signal.SIGCONT)
        except ProcessLookupError:
            return f"{name}, which was killed meanwhile"
    return f"{name}, for {seconds:.1f} s"


def _pause(group: str) -> Fault:
    async def inject(target: FaultTarget, chance: random.Random) -> str:
        seconds = chance.uniform(*_SHORT)
        if group == "worker" and chance.random() < _LONG_SHARE:
            seconds = target.fleet.settings.lease_seconds + chance.uniform(*_BEYOND_LEASE)
        victim = await _victim(target, group, chance)
        return await _paused(victim.name, victim.pid, seconds)

    return inject


async def _kill_supervisord(target: FaultTarget, _: random.Random) -> str:
    """Kill supervisord, and start the fleet again as an operator does once all have ended."""
    fleet = target.fleet
    async with target.one_supervisord:
        pid = await _supervisord(target)
        with _signals(pid, "supervisord") as send:
            send(signal.SIGKILL)
        give_up = time.monotonic() + OUTLIVE_SECONDS
        while left := await asyncio.to_thread(fleet.processes):
            if time.monotonic() > give_up:
                target.on_surprise(f"processes {left} outlive a killed supervisord")
                await asyncio.to_thread(fleet.kill)
            await asyncio.sleep(0.1)
        await asyncio.to_thread(fleet.start_supervisord)
    return f"supervisord, pid {pid}, and started it again"


async def _pause_supervisord(target: FaultTarget, chance: random.Random) -> str:
    return await _paused("supervisord", await _supervisord(target), chance.uniform(*_SHORT))


async def _supervisord(target: FaultTarget) -> int:
    supervisord = target.fleet.supervisord
    await _waited_for(lambda: asyncio.to_thread(lambda: supervisord.up), "supervisord runs")
    return target.fleet.supervisord_pid


# Someone else.


async def _schema_change(target: FaultTarget, chance: random.Random) -> str:
    change = _change_column if chance.random() < 0.5 else _make_table  # noqa: PLR2004
    try:
        return await change(target, chance)
    except Unreachable as error:
        raise NothingHit(str(error)) from error


async def _change_column(target: FaultTarget, chance: random.Random) -> str:
    table, column = chance.choice(SHARED), f"{FOREIGN}{chance.getrandbits(32):x}"
    alter = f"ALTER TABLE `{target.fleet.settings.dataset_path}.{table}`"
    await target.reader.execute(f"{alter} ADD COLUMN IF NOT EXISTS `{column}` STRING")
    await asyncio.sleep(chance.uniform(*_SHORT))
    if chance.random() < 0.5:  # noqa: PLR2004
        await target.reader.execute(f"{alter} DROP COLUMN IF EXISTS `{column}`")
        return f"{column} added to {table} and dropped"
    return f"{column} added to {table}"


async def _make_table(target: FaultTarget, chance: random.Random) -> str:
    table = chance.choice([each for each in target.streams if not each.alone]).next_table
    target.journal.foreign(table, {})
    columns = f"`stream` STRING, `n` INT64, `{FOREIGN}note` STRING"
    path = f"{target.fleet.settings.dataset_path}.{table}"
    await target.reader.execute(f"CREATE TABLE IF NOT EXISTS `{path}` ({columns})")
    return f"{table} made before the load does"


# Proxies.


def _proxied(proxy_of: Callable[[FaultTarget], FaultProxy], fault: str) -> Fault:
    async def inject(target: FaultTarget, chance: random.Random) -> str:
        proxy = proxy_of(target)
        seconds = chance.uniform(*_SHORT)
        before = proxy.hits[fault]
        give_up = time.monotonic() + QUIET_SECONDS
        while proxy.hits[fault] == before:
            if time.monotonic() > give_up:
                raise NothingHit(f"no call to hit in {QUIET_SECONDS:g} s")
            await proxy.inject(fault, seconds)
        return f"{proxy.hits[fault] - before} hits in {seconds:.1f} s"

    return inject


# The machine.


def _full_disk(group: str) -> Fault:
    async def inject(target: FaultTarget, chance: random.Random) -> str:
        seconds = chance.uniform(*_SHORT)
        names = {each.pid: each.name for each in await _running(target, group)}
        hit = [name for pid, name in names.items() if full_disk.survives(pid)]
        if not hit:
            raise NothingHit(f"no {group} would survive it")
        await full_disk.fill(names, seconds)
        return f"{', '.join(hit)} for {seconds:.1f} s"

    return inject


def _clock(group: str) -> Fault:
    async def inject(target: FaultTarget, chance: random.Random) -> str:
        seconds, offset = chance.uniform(*_SHORT), chance.choice(_JUMPS)
        async with target.one_jump:
            await clock.jump(target.clocks[group], offset, seconds)
        return f"every {group}, by {offset:+,} s for {seconds:.1f} s"

    return inject


PROGRAMS = ("server", "worker", "pubsub", "bigquery", "pushgateway")
KINDS: dict[str, Fault] = {
    **{f"kill_{program}": _kill(program) for program in PROGRAMS},
    "kill_supervisord": _kill_supervisord,
    **{f"pause_{program}": _pause(program) for program in PROGRAMS},
    "pause_supervisord": _pause_supervisord,
    **{f"full_disk_{program}": _full_disk(program) for program in ("server", "pubsub", "bigquery")},
    **{f"clock_{program}": _clock(program) for program in CLOCKED},
    "schema_change": _schema_change,
    **{f"pubsub_{each}": _proxied(lambda at: at.pubsub, each) for each in PubSubProxy.FAULTS},
    **{f"bigquery_{each}": _proxied(lambda at: at.bigquery, each) for each in BigQueryProxy.FAULTS},
}
