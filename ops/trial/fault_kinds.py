"""The kinds of faults, and how each is injected."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Callable

from ops.rig import clock, full_disk
from ops.rig.bigquery_proxy import BigQueryProxy
from ops.rig.fault_proxy import FaultProxy
from ops.rig.pubsub_proxy import PubSubProxy
from ops.trial import machine_faults
from ops.trial.client_stream import FOREIGN, SHARED
from ops.trial.fault_target import (
    SHORT,
    Fault,
    FaultTarget,
    NothingHit,
    pause,
    pick_process,
    running_processes,
    signal_sender,
    supervisord_pid,
)
from ops.trial.fleet_reader import Unreachable

_LONG_SHARE = 0.2
_TRIES = 3
_JUMPS = (-86_400, -3_600, -30, 30, 3_600, 86_400)

CLOCKED = ("server", "worker")
"""Programs whose clocks can be moved."""


# Signals.


def _kill(group: str) -> Fault:
    async def inject(target: FaultTarget, chance: random.Random) -> str:
        for _ in range(_TRIES):
            victim = await pick_process(target, group, chance)
            with (
                contextlib.suppress(NothingHit, ProcessLookupError),
                signal_sender(victim.pid, victim.name) as send,
            ):
                send(signal.SIGKILL)
                return f"{victim.name}, pid {victim.pid}"
        raise NothingHit(f"every {group} ended by itself")

    return inject


def _pause(group: str) -> Fault:
    async def inject(target: FaultTarget, chance: random.Random) -> str:
        seconds = chance.uniform(*SHORT)
        if group == "worker" and chance.random() < _LONG_SHARE:
            seconds = machine_faults.past_lease(target, chance)
        victim = await pick_process(target, group, chance)
        return await pause(victim.name, victim.pid, seconds)

    return inject


async def _pause_supervisord(target: FaultTarget, chance: random.Random) -> str:
    return await pause("supervisord", await supervisord_pid(target), chance.uniform(*SHORT))


# Someone else.


async def _schema_change(target: FaultTarget, chance: random.Random) -> str:
    change = _change_column if chance.random() < 0.5 else _make_table  # noqa: PLR2004
    try:
        return await change(target, chance)
    except Unreachable as error:
        raise NothingHit(str(error)) from error


async def _change_column(target: FaultTarget, chance: random.Random) -> str:
    table, column = chance.choice(SHARED), f"{FOREIGN}{chance.getrandbits(32):x}"
    alter = f"ALTER TABLE `{target.machine.fleet.settings.dataset_path}.{table}`"
    await target.reader.execute(f"{alter} ADD COLUMN IF NOT EXISTS `{column}` STRING")
    await asyncio.sleep(chance.uniform(*SHORT))
    if chance.random() < 0.5:  # noqa: PLR2004
        await target.reader.execute(f"{alter} DROP COLUMN IF EXISTS `{column}`")
        return f"{column} added to {table} and dropped"
    return f"{column} added to {table}"


async def _make_table(target: FaultTarget, chance: random.Random) -> str:
    table = chance.choice([each for each in target.streams if not each.alone]).next_table
    target.journal.foreign(table, {})
    columns = f"`stream` STRING, `n` INT64, `{FOREIGN}note` STRING"
    path = f"{target.machine.fleet.settings.dataset_path}.{table}"
    await target.reader.execute(f"CREATE TABLE IF NOT EXISTS `{path}` ({columns})")
    return f"{table} made before the load does"


# Proxies.


def _proxied(proxy_of: Callable[[FaultTarget], FaultProxy], fault: str) -> Fault:
    async def inject(target: FaultTarget, chance: random.Random) -> str:
        proxy = proxy_of(target)
        seconds = chance.uniform(*SHORT)
        before = proxy.hits[fault]
        give_up = time.monotonic() + target.quiet_seconds
        while proxy.hits[fault] == before:
            if time.monotonic() > give_up:
                raise NothingHit(f"no call to hit in {target.quiet_seconds:.0f} s")
            await proxy.inject(fault, seconds)
        return f"{proxy.hits[fault] - before} hits in {seconds:.1f} s"

    return inject


def _pubsub(target: FaultTarget) -> FaultProxy:
    return target.machine.pubsub


def _bigquery(target: FaultTarget) -> FaultProxy:
    return target.machine.bigquery


# Disks and clocks.


def _full_disk(group: str) -> Fault:
    async def inject(target: FaultTarget, chance: random.Random) -> str:
        seconds = chance.uniform(*SHORT)
        names = {each.pid: each.name for each in await running_processes(target, group)}
        hit = [name for pid, name in names.items() if full_disk.survives(pid)]
        if not hit:
            raise NothingHit(f"no {group} would survive it")
        await full_disk.fill(names, seconds)
        return f"{', '.join(hit)} for {seconds:.1f} s"

    return inject


def _clock(group: str) -> Fault:
    async def inject(target: FaultTarget, chance: random.Random) -> str:
        seconds, offset = chance.uniform(*SHORT), chance.choice(_JUMPS)
        async with target.machine.one_jump:
            await clock.jump(target.machine.clocks[group], offset, seconds)
        return f"every {group}, by {offset:+,} s for {seconds:.1f} s"

    return inject


PROGRAMS = ("server", "worker")
SERVICES = ("pubsub", "bigquery", "pushgateway")
KINDS: dict[str, Fault] = {
    **{f"kill_{program}": _kill(program) for program in (*PROGRAMS, *SERVICES)},
    "kill_supervisord": machine_faults.kill_supervisord,
    "kill_machine": machine_faults.kill_machine,
    **{f"pause_{program}": _pause(program) for program in (*PROGRAMS, *SERVICES)},
    "pause_supervisord": _pause_supervisord,
    "pause_machine": machine_faults.pause_machine,
    "partition": machine_faults.partition,
    "orphan_job": machine_faults.orphan_job,
    **{f"full_disk_{program}": _full_disk(program) for program in ("server", "pubsub", "bigquery")},
    **{f"clock_{program}": _clock(program) for program in CLOCKED},
    "schema_change": _schema_change,
    **{f"pubsub_{each}": _proxied(_pubsub, each) for each in PubSubProxy.FAULTS},
    **{f"bigquery_{each}": _proxied(_bigquery, each) for each in BigQueryProxy.FAULTS},
}
ON_SERVICES = {
    f"{what}_{service}" for what in ("kill", "pause", "full_disk") for service in SERVICES
}
"""Kinds that hit the machine with the embedded services."""
