import asyncio
import os
import signal

from ops.rig.disposable_fleet import DisposableFleet
from tests.support.processes import eventually, wait_until
from tests.support.stream import applied, send


async def _kill_workers(fleet: DisposableFleet, times: int, busy: set[int]) -> int:
    """Kill one worker and then the other while the stream runs; return how often one was there."""
    killed = 0
    for round_number in range(times):
        goal = 400 * (round_number + 1)
        await eventually(lambda goal=goal: len(busy) >= goal, 60, f"{goal} accepted")
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
    assert len(accepted) == 2_000, "the servers were never touched"
    counts = await asyncio.to_thread(
        wait_until,
        lambda: len(found := applied(fleet, "stream")) >= len(accepted) and found,
        90,
        "all are applied",
    )
    assert set(counts) == accepted
    assert set(counts.values()) == {1}
    ledger = (
        "SELECT COUNT(*) AS written, COUNT(DISTINCT id) AS ids FROM gatekeeper_ledger "
        "WHERE state = 'applied' AND ordering_key LIKE 'stream%'"
    )
    assert fleet.query(ledger) == [{"written": 2_000, "ids": 2_000}]


async def test_a_killed_supervisord_takes_the_fleet_along_and_nothing_accepted_is_lost(
    fleet: DisposableFleet,
) -> None:
    accepted: set[int] = set()
    sending = asyncio.create_task(send(fleet, "again", range(600), accepted=accepted))
    await eventually(lambda: len(accepted) >= 300, 30, "half are accepted")
    os.kill(fleet.supervisord_pid, signal.SIGKILL)
    await sending  # the rest meets a gate that is closed
    assert len(accepted) < 600
    await eventually(lambda: not fleet.processes(), 40, "no process outlives supervisord")

    await asyncio.to_thread(fleet.up)
    before = len(accepted)
    await send(fleet, "again", range(600, 700), accepted=accepted)
    assert len(accepted) == before + 100
    counts = await asyncio.to_thread(
        wait_until, lambda: accepted <= set(found := applied(fleet, "again")) and found, 90
    )
    # A transaction whose answer was cut off may be there too, but nothing is there twice.
    assert set(counts.values()) == {1}
