import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ops.trial.fault_kinds import KINDS
from ops.trial.fault_schedule import (
    MOST_ACTIVE,
    SLOW_RATE,
    FaultSchedule,
    LoadPace,
    PlannedFault,
    schedule,
)


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_comes_when_there_are_enough_faults(seed: int) -> None:
    faults = schedule(2_000, len(KINDS), seed, tuple(KINDS))
    assert {fault.kind for fault in faults} == KINDS.keys()
    assert len(schedule(2_000, 100, seed, tuple(KINDS))) == 100


def test_faults_are_in_order_within_the_load_and_from_the_seed() -> None:
    faults = schedule(1_000, 60, 3, tuple(KINDS))
    moments = [fault.after for fault in faults]
    assert moments == sorted(moments)
    assert 0 < moments[0] <= moments[-1] < 1_000
    assert faults == schedule(1_000, 60, 3, tuple(KINDS))
    assert faults != schedule(1_000, 60, 4, tuple(KINDS))


def test_few_transactions_and_few_kinds_have_a_schedule_too() -> None:
    assert [fault.kind for fault in schedule(1, 2, 1, ("kill_worker",))] == ["kill_worker"] * 2
    assert schedule(10, 0, 1, ("kill_worker",)) == []


def _faults(count: int) -> list[PlannedFault]:
    return schedule(100, count, 1, ("kill_worker",))


async def test_a_few_faults_overlap_and_the_load_waits_while_others_are_queued() -> None:
    active: list[PlannedFault] = []
    release = asyncio.Event()

    async def inject(fault: PlannedFault) -> None:
        active.append(fault)
        await release.wait()

    async with FaultSchedule(_faults(MOST_ACTIVE + 1), LoadPace(20.0), inject) as faults:
        faults.start_due(100)
        await asyncio.sleep(0)
        assert len(active) == MOST_ACTIVE
        await _takes(faults.pace, at_least=0.05)
        release.set()
        await asyncio.sleep(0.01)
        assert len(active) == MOST_ACTIVE + 1
        await _takes(faults.pace, at_least=0.0)


async def test_the_load_is_slow_while_the_fleet_is_behind() -> None:
    behind = True

    async def inject(_: PlannedFault) -> None: ...

    async with FaultSchedule([], LoadPace(1_000.0, lambda: behind), inject) as faults:
        await _takes(faults.pace, at_least=1 / SLOW_RATE)
        behind = False
        assert LoadPace(1_000.0, lambda: behind).pause(queued=True) == 1 / 1_000
        assert not LoadPace(1_000.0, lambda: behind).pause(queued=False)
        await faults.pace()


async def _takes(work: Callable[[], Awaitable[None]], at_least: float) -> None:
    began = asyncio.get_running_loop().time()
    await work()
    assert asyncio.get_running_loop().time() - began >= at_least


async def test_a_fault_that_fails_fails_the_trial_after_the_load() -> None:
    async def inject(fault: PlannedFault) -> None:
        raise OSError(fault.kind)

    loaded = []

    async def load() -> None:
        async with FaultSchedule(_faults(1), LoadPace(20.0), inject) as faults:
            faults.start_due(100)
            await asyncio.sleep(0)
            loaded.append("all")

    with pytest.raises(OSError, match="kill_worker"):
        await load()
    assert loaded == ["all"]


async def test_faults_end_when_the_load_fails() -> None:
    ended = asyncio.Event()

    async def inject(_: PlannedFault) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def load() -> None:
        async with FaultSchedule(_faults(1), LoadPace(20.0), inject) as faults:
            faults.start_due(100)
            await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await load()
    assert ended.is_set()
