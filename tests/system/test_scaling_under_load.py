import asyncio
import sys

from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet
from tests.support.stream import Numbers, send, wait_until_applied

CLIENTS = 4


async def test_scaling_and_rolling_under_load_fail_no_request_and_lose_nothing(
    fleet: DisposableFleet,
) -> None:
    def ctl(*words: str) -> str:
        done = fleet.command(
            sys.executable, "-m", "supervisor.supervisorctl", "-c", fleet.conf, *words
        )
        return done.stdout

    def workers(count: int) -> None:
        wait_until(
            lambda: [each.state for each in fleet.states("worker")] == ["RUNNING"] * count,
            60,
            f"{count} workers run",
        )

    accepted: set[int] = set()
    numbers = Numbers()
    sending = asyncio.create_task(
        send(fleet, "scaled", numbers, accepted=accepted, clients=CLIENTS)
    )
    try:
        await asyncio.to_thread(ctl, "scale", "worker", "4")
        await asyncio.to_thread(workers, 4)
        said = await asyncio.to_thread(ctl, "roll", "server")
        assert said.splitlines() == ["server_00: restarted", "server_01: restarted"]
        await asyncio.to_thread(ctl, "roll", "worker")
        await asyncio.to_thread(ctl, "scale", "worker", "1")
        await asyncio.to_thread(workers, 1)
    finally:
        numbers.stopped = True
        await sending
        await asyncio.to_thread(ctl, "scale", "worker", "2")
    assert len(accepted) == numbers.given > 0, "no request failed"
    counts = await asyncio.to_thread(wait_until_applied, fleet, "scaled", accepted, 60)
    assert set(counts) == accepted
    assert set(counts.values()) == {1}
    workers(2)


def test_a_worker_scaled_away_takes_its_group_off_the_pushgateway(fleet: DisposableFleet) -> None:
    machine = f"{fleet.settings.instance}:"

    def pushed() -> set[str]:
        return {group.instance.removeprefix(machine) for group in fleet.pushed()}

    fleet.supervisord.call("fleet.scale", "worker", 3)
    wait_until(lambda: "worker_02" in pushed(), what="the new worker's group")
    fleet.supervisord.call("fleet.scale", "worker", 2)
    wait_until(lambda: len(fleet.states("worker")) == 2, what="it has drained")
    wait_until(lambda: "worker_02" not in pushed(), what="its group is gone")
    assert {"worker_00", "worker_01"} <= pushed()
