"""The faults: their kinds, when they strike, and how each does.

A strike is due after so many accepted transactions, not after so much time, and draws all that is
random about it from a seed of its own: a trial's seed means the same on a slow machine.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ops.rig import clock, full_disk
from ops.rig.bigquery_proxy import BigQueryProxy
from ops.rig.disposable_fleet import DisposableFleet
from ops.rig.pubsub_proxy import PubSubProxy
from ops.runtime.supervisord import ProcessState, SupervisordUnreachable
from ops.trial.evidence import Reader, Unreachable
from ops.trial.journal import Journal
from ops.trial.stream import FOREIGN, SHARED, Stream

PATIENCE_SECONDS = 90.0
"""How long a strike waits for something to hit: what it wants may be starting again."""
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


class Strike(NamedTuple):
    """One fault to come: due `after` so many accepted transactions."""

    number: int
    kind: str
    after: int
    seed: str


class Missed(Exception):
    """A strike found nothing to hit; the text says why."""


@dataclass
class Target:
    """What faults strike at."""

    fleet: DisposableFleet
    pubsub: PubSubProxy
    bigquery: BigQueryProxy
    reader: Reader
    journal: Journal
    streams: Sequence[Stream]
    clocks: Mapping[str, Path]
    """Offset files of the programs whose clocks can be moved."""
    complain: Callable[[str], None]
    """Hears what no fault excuses."""
    one_jump: asyncio.Lock = field(default_factory=asyncio.Lock)
    one_supervisord: asyncio.Lock = field(default_factory=asyncio.Lock)


type Fault = Callable[[Target, random.Random], Awaitable[str]]
"""Strikes, returns when it is over, and says what it hit; raises Missed."""


def schedule(transactions: int, faults: int, seed: int, kinds: Sequence[str]) -> list[Strike]:
    """Return the strikes in order; each kind comes before any comes again."""
    chance = random.Random(f"{seed}/faults")  # noqa: S311  # a plan, no secret
    drawn: list[str] = []
    while len(drawn) < faults:
        drawn += chance.sample(list(kinds), len(kinds))
    drawn = drawn[:faults]
    chance.shuffle(drawn)
    first, last = transactions // 20, max(transactions * 19 // 20, 1)
    moments = sorted(chance.randint(first, last) for _ in drawn)
    return [
        Strike(number, kind, moment, f"{seed}/fault/{number}")
        for number, (kind, moment) in enumerate(zip(drawn, moments, strict=True))
    ]


# Signals.


async def _living(target: Target, group: str) -> list[ProcessState]:
    """Return a program's processes, at least one of which runs; wait for one that is starting."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    why = f"no {group} runs"
    while time.monotonic() < give_up:
        try:
            states = await asyncio.to_thread(target.fleet.states, group)
        except SupervisordUnreachable as error:
            why = str(error)
        else:
            if any(each.state == "RUNNING" and each.pid for each in states):
                return [each for each in states if each.pid]
        await asyncio.sleep(0.2)
    raise Missed(why)


async def _victim(target: Target, group: str, chance: random.Random) -> ProcessState:
    """Return a running process of a program; wait for one that is just starting."""
    living = await _living(target, group)
    return chance.choice([each for each in living if each.state == "RUNNING"])


def _signal(pid: int, *numbers: int) -> None:
    """Send signals to a process, whose id no other can have taken meanwhile."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        raise Missed(f"process {pid} has ended") from None
    try:
        for number in numbers:
            signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def _kill(group: str) -> Fault:
    async def strike(target: Target, chance: random.Random) -> str:
        for _ in range(_TRIES):
            victim = await _victim(target, group, chance)
            try:
                _signal(victim.pid, signal.SIGKILL)
            except (Missed, ProcessLookupError):
                continue
            return f"{victim.name}, pid {victim.pid}"
        raise Missed(f"every {group} ended by itself")

    return strike


async def _paused(name: str, pid: int, seconds: float) -> str:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        raise Missed(f"{name} has ended") from None
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            signal.pidfd_send_signal(descriptor, signal.SIGCONT)
    except ProcessLookupError:
        return f"{name}, which was killed meanwhile"
    finally:
        os.close(descriptor)
    return f"{name}, for {seconds:.1f} s"


def _pause(group: str) -> Fault:
    async def strike(target: Target, chance: random.Random) -> str:
        seconds = chance.uniform(*_SHORT)
        if group == "worker" and chance.random() < _LONG_SHARE:
            seconds = target.fleet.settings.lease_seconds + chance.uniform(*_BEYOND_LEASE)
        victim = await _victim(target, group, chance)
        return await _paused(victim.name, victim.pid, seconds)

    return strike


async def _kill_supervisord(target: Target, chance: random.Random) -> str:
    """Kill supervisord, and start the fleet again as an operator does once all have gone."""
    del chance
    fleet = target.fleet
    async with target.one_supervisord:
        pid = await _supervisord(target)
        _signal(pid, signal.SIGKILL)
        give_up = time.monotonic() + OUTLIVE_SECONDS
        while left := await asyncio.to_thread(fleet.processes):
            if time.monotonic() > give_up:
                target.complain(f"processes {left} outlive a killed supervisord")
                await asyncio.to_thread(fleet.kill)
            await asyncio.sleep(0.1)
        await asyncio.to_thread(fleet.start_supervisord)
    return f"supervisord, pid {pid}, and started it again"


async def _pause_supervisord(target: Target, chance: random.Random) -> str:
    return await _paused("supervisord", await _supervisord(target), chance.uniform(*_SHORT))


async def _supervisord(target: Target) -> int:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not await asyncio.to_thread(lambda: target.fleet.supervisord.up):
        if time.monotonic() > give_up:
            raise Missed("supervisord does not run")
        await asyncio.sleep(0.2)
    return target.fleet.supervisord_pid


# Someone else.


async def _schema_change(target: Target, chance: random.Random) -> str:
    dataset = target.fleet.settings.dataset_path
    try:
        if chance.random() < 0.5:  # noqa: PLR2004
            table, column = chance.choice(SHARED), f"{FOREIGN}{chance.getrandbits(32):x}"
            path = f"`{dataset}.{table}`"
            await target.reader.execute(
                f"ALTER TABLE {path} ADD COLUMN IF NOT EXISTS `{column}` STRING"
            )
            await asyncio.sleep(chance.uniform(*_SHORT))
            if chance.random() < 0.5:  # noqa: PLR2004
                await target.reader.execute(f"ALTER TABLE {path} DROP COLUMN IF EXISTS `{column}`")
                return f"{column} added to {table} and dropped"
            return f"{column} added to {table}"
        stream = chance.choice([each for each in target.streams if not each.alone])
        table = stream.next_table
        target.journal.foreign(table, {})
        columns = f"`stream` STRING, `n` INT64, `{FOREIGN}note` STRING"
        await target.reader.execute(f"CREATE TABLE IF NOT EXISTS `{dataset}.{table}` ({columns})")
    except Unreachable as error:
        raise Missed(str(error)) from error
    return f"{table} made before the load does"


# Proxies.


def _proxied(name: str, fault: str) -> Fault:
    async def strike(target: Target, chance: random.Random) -> str:
        proxy = target.pubsub if name == "pubsub" else target.bigquery
        seconds = chance.uniform(*_SHORT)
        before = proxy.hits[fault]
        give_up = time.monotonic() + QUIET_SECONDS
        while proxy.hits[fault] == before:
            if time.monotonic() > give_up:
                raise Missed(f"no call came in {QUIET_SECONDS:g} s that it hits")
            await proxy.inject(fault, seconds)
        return f"{proxy.hits[fault] - before} hits in {seconds:.1f} s"

    return strike


# The machine.


def _full_disk(group: str) -> Fault:
    async def strike(target: Target, chance: random.Random) -> str:
        seconds = chance.uniform(*_SHORT)
        pids = {each.pid: each.name for each in await _living(target, group)}
        hit = [name for pid, name in pids.items() if full_disk.survives(pid)]
        if not hit:
            raise Missed(f"no {group} would outlive it")
        await full_disk.fill(pids, seconds)
        return f"{', '.join(hit)} for {seconds:.1f} s"

    return strike


def _clock(group: str) -> Fault:
    async def strike(target: Target, chance: random.Random) -> str:
        seconds, offset = chance.uniform(*_SHORT), chance.choice(_JUMPS)
        async with target.one_jump:
            await clock.jump(target.clocks[group], offset, seconds)
        return f"every {group}, by {offset:+,} s for {seconds:.1f} s"

    return strike


PROGRAMS = ("server", "worker", "pubsub", "bigquery", "pushgateway")
KINDS: dict[str, Fault] = {
    **{f"kill_{program}": _kill(program) for program in PROGRAMS},
    "kill_supervisord": _kill_supervisord,
    **{f"pause_{program}": _pause(program) for program in PROGRAMS},
    "pause_supervisord": _pause_supervisord,
    **{f"full_disk_{program}": _full_disk(program) for program in ("server", "pubsub", "bigquery")},
    **{f"clock_{program}": _clock(program) for program in CLOCKED},
    "schema_change": _schema_change,
    **{f"pubsub_{fault}": _proxied("pubsub", fault) for fault in PubSubProxy.FAULTS},
    **{f"bigquery_{fault}": _proxied("bigquery", fault) for fault in BigQueryProxy.FAULTS},
}
