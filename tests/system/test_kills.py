import asyncio
import functools
import os
import signal

from ops.rig import eventually
from ops.rig.disposable_fleet import DisposableFleet
from tests.support.stream import send, wait_until_applied


def _at_least(numbers: set[int], goal: int) -> bool:
    return len(numbers) >= goal


async def _kill_workers(fleet: DisposableFleet, times: int, busy: set[int]) -> int:
    """Kill one worker and then the other while the stream runs; return how many were killed."""
    killed = 0
    for round_number in range(times):
        goal = 400 * (round_number + 1)
        await eventually(functools.partial(_at_least, busy, goal), 60, f"{goal} accepted")
        victim = fleet.states("worker")[round_number % 2]
        if victim.pid:
            os.kill(victim.pid, signal.SIGKILL)
            killed += 1
    return killed


async def test_workers_killed_in_mid_stream_apply_every_transaction_once(
    fleet: DisposableFleet,
) -> None:
    accepted: set[int] = set()
    _, killed = await asyncio.gather(
        send(fleet, "stream", range(2_000), accepted=accepted),
        _kill_workers(fleet, 4, accepted),
    )
    assert killed >= 2
    assert len(accepted) == 2_000, "no server was killed"
    counts = await asyncio.to_thread(wait_until_applied, fleet, "stream", accepted, 90)
    assert set(counts) == accepted
    assert set(counts.values()) == {1}
    ledger = (
        "SELECT COUNT(*) AS written, COUNT(DISTINCT id) AS ids FROM gatekeeper_ledger "
        "WHERE state = 'applied' AND ordering_key LIKE 'stream%'"
    )
    assert fleet.query(ledger) == [{"written": 2_000, "ids": 2_000}]


async def test_a_killed_supervisord_ends_the_fleet_and_nothing_accepted_is_lost(
    fleet: DisposableFleet,
) -> None:
    accepted: set[int] = set()
    sending = asyncio.create_task(send(fleet, "again", range(600), accepted=accepted))
    await eventually(lambda: len(accepted) >= 300, what="half are accepted")
    os.kill(fleet.supervisord_pid, signal.SIGKILL)
    await sending  # the rest is refused
    assert len(accepted) < 600
    await eventually(lambda: not fleet.processes(), what="no process outlives supervisord")

    await asyncio.to_thread(fleet.up)
    before = len(accepted)
    await send(fleet, "again", range(600, 700), accepted=accepted)
    assert len(accepted) == before + 100
    counts = await asyncio.to_thread(wait_until_applied, fleet, "again", accepted, 90)
    # A transaction without an answer may be there too, but none is there twice.
    assert set(counts.values()) == {1}
