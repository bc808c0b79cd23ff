"""What a fault is injected into, and how it finds a process to hit."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.rig import RunFailed, eventually
from ops.rig.bigquery_proxy import BigQueryProxy
from ops.rig.disposable_fleet import DisposableFleet
from ops.rig.pubsub_proxy import PubSubProxy
from ops.runtime.supervisord import ProcessState, SupervisordUnreachable
from ops.trial.client_stream import ClientStream
from ops.trial.fleet_reader import FleetReader
from ops.trial.journal import Journal

PATIENCE_SECONDS = 90.0
"""How long a fault waits for a process to hit, which may be starting again."""
SHORT = 0.5, 2.0
BEYOND_LEASE = 1.5, 4.0
"""Seconds of a short fault, and seconds after the end of a lease."""


class NothingHit(Exception):
    """A fault found nothing to hit; the text has the reason."""


@dataclass
class Machine:
    """A supervisord with its processes, and the proxies between them and the services."""

    name: str
    fleet: DisposableFleet
    pubsub: PubSubProxy
    bigquery: BigQueryProxy
    clocks: Mapping[str, Path]
    """The offset files of the programs whose clocks can be moved."""
    one_jump: asyncio.Lock = field(default_factory=asyncio.Lock)
    one_supervisord: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class FaultTarget:
    """What a fault is injected into: a machine, and what all machines share."""

    machine: Machine
    reader: FleetReader
    journal: Journal
    streams: Sequence[ClientStream]
    on_surprise: Callable[[str], None]
    """Called with a failure that no fault excuses."""
    quiet_seconds: float = 20.0
    """How long a fault waits for a call or a job to hit."""


type Fault = Callable[[FaultTarget, random.Random], Awaitable[str]]
"""Injects a fault and returns what it hit when it is over; raises NothingHit."""


async def running_processes(target: FaultTarget, group: str) -> list[ProcessState]:
    """Return a program's processes, at least one of which runs; wait until that is so."""

    async def found() -> list[ProcessState]:
        with contextlib.suppress(SupervisordUnreachable):
            states = await asyncio.to_thread(target.machine.fleet.states, group)
            if any(each.state == "RUNNING" and each.pid for each in states):
                return [each for each in states if each.pid]
        return []

    return await waited_for(found, f"a {group} runs")


async def waited_for[T](condition: Callable[[], Coroutine[Any, Any, T]], what: str) -> T:
    try:
        return await eventually(condition, PATIENCE_SECONDS, what)
    except RunFailed as error:
        raise NothingHit(str(error)) from None


async def pick_process(target: FaultTarget, group: str, chance: random.Random) -> ProcessState:
    running = await running_processes(target, group)
    return chance.choice([each for each in running if each.state == "RUNNING"])


@contextlib.contextmanager
def signal_sender(pid: int, name: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that sends signals to a process, and to no other with the same id later."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        raise NothingHit(f"{name} has ended") from None
    try:
        yield lambda number: signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


async def pause(name: str, pid: int, seconds: float) -> str:
    with signal_sender(pid, name) as send:
        try:
            send(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                send(signal.SIGCONT)
        except ProcessLookupError:
            return f"{name}, which was killed meanwhile"
    return f"{name}, for {seconds:.1f} s"


async def supervisord_pid(target: FaultTarget) -> int:
    supervisord = target.machine.fleet.supervisord
    await waited_for(lambda: asyncio.to_thread(lambda: supervisord.up), "supervisord runs")
    return target.machine.fleet.supervisord_pid
