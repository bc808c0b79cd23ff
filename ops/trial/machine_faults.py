"""The faults of a whole machine, and of a job whose worker is gone."""

import asyncio
import contextlib
import random
import signal
import time

from ops.trial.fault_target import (
    BEYOND_LEASE,
    SHORT,
    FaultTarget,
    NothingHit,
    pause,
    running_processes,
    signal_sender,
    supervisord_pid,
)

OUTLIVE_SECONDS = 45.0
"""How long the processes of a killed supervisord may drain; their own limit is 30 s."""
OWN_GROUPS = "server", "worker", "autoscale"
"""The programs of every machine; the first machine has the embedded services too."""


def past_lease(target: FaultTarget, chance: random.Random) -> float:
    """Return some seconds that are longer than a lease."""
    return target.machine.fleet.settings.lease_seconds + chance.uniform(*BEYOND_LEASE)


async def kill_supervisord(target: FaultTarget, _: random.Random) -> str:
    """Kill supervisord, and start the fleet again as an operator does once all have ended."""
    return await _kill(target, (), 0.0)


async def kill_machine(target: FaultTarget, chance: random.Random) -> str:
    """Kill supervisord, servers and workers, and start the fleet again a little later."""
    return await _kill(target, OWN_GROUPS, chance.uniform(*SHORT))


async def _kill(target: FaultTarget, groups: tuple[str, ...], seconds: float) -> str:
    fleet = target.machine.fleet
    async with target.machine.one_supervisord:
        pid = await supervisord_pid(target)
        others = await asyncio.to_thread(fleet.processes, *groups) if groups else []
        with signal_sender(pid, "supervisord") as send:
            send(signal.SIGKILL)
        for other in others:
            with (
                contextlib.suppress(NothingHit, ProcessLookupError),
                signal_sender(other, "a process") as send,
            ):
                send(signal.SIGKILL)
        await asyncio.sleep(seconds)
        await _wait_for_end(target)
        await asyncio.to_thread(fleet.start_supervisord)
    more = f" and {len(others)} processes" if others else ""
    return f"supervisord, pid {pid},{more} and started it again"


async def _wait_for_end(target: FaultTarget) -> None:
    fleet = target.machine.fleet
    give_up = time.monotonic() + OUTLIVE_SECONDS
    while left := await asyncio.to_thread(fleet.processes):
        if time.monotonic() > give_up:
            target.on_surprise(f"processes {left} outlive a killed supervisord")
            await asyncio.to_thread(fleet.kill)
        await asyncio.sleep(0.1)


async def pause_machine(target: FaultTarget, chance: random.Random) -> str:
    """Stop every process of a machine until its leases have ended."""
    fleet, seconds = target.machine.fleet, past_lease(target, chance)
    async with target.machine.one_supervisord:
        pids = [
            await supervisord_pid(target),
            *await asyncio.to_thread(fleet.processes, *OWN_GROUPS),
        ]
        async with asyncio.TaskGroup() as group:
            for pid in pids:
                group.create_task(_pause_if_alive(pid, seconds))
    return f"{len(pids)} processes, for {seconds:.1f} s"


async def _pause_if_alive(pid: int, seconds: float) -> None:
    with contextlib.suppress(NothingHit):
        await pause("a process", pid, seconds)


async def partition(target: FaultTarget, chance: random.Random) -> str:
    """Let a machine reach neither Pub/Sub nor BigQuery."""
    long = chance.random() < 1 / 2
    seconds = past_lease(target, chance) if long else chance.uniform(*SHORT)
    machine = target.machine
    await asyncio.gather(
        machine.pubsub.inject("refuse", seconds), machine.bigquery.inject("refuse", seconds)
    )
    return f"no service reachable for {seconds:.1f} s"


async def orphan_job(target: FaultTarget, chance: random.Random) -> str:
    """Hold a worker's job until its lease has ended, and kill or pause the worker meanwhile."""
    proxy = target.machine.bigquery
    seconds = target.quiet_seconds
    try:
        async with proxy.injected("late", seconds), asyncio.timeout(seconds):
            name = await proxy.next_late_worker()
    except TimeoutError:
        raise NothingHit(f"no job to hit in {seconds:.0f} s") from None
    for worker in await running_processes(target, "worker"):
        if name.endswith(worker.name):
            return await _remove(target, worker.name, worker.pid, chance)
    raise NothingHit(f"{name} has ended")


async def _remove(target: FaultTarget, name: str, pid: int, chance: random.Random) -> str:
    if chance.random() < 1 / 2:
        return "a job on its way; paused " + await pause(name, pid, past_lease(target, chance))
    with signal_sender(pid, name) as send, contextlib.suppress(ProcessLookupError):
        send(signal.SIGKILL)
    return f"a job on its way; killed {name}, pid {pid}"
