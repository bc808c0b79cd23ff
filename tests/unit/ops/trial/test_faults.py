import random
from types import SimpleNamespace
from typing import Any

import pytest

from ops.runtime.supervisord import ProcessState, SupervisordUnreachable
from ops.trial.faults import KINDS, Missed, schedule
from tests.support.processes import Service


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_strikes_when_there_are_faults_enough(seed: int) -> None:
    strikes = schedule(2_000, len(KINDS), seed, tuple(KINDS))
    assert {strike.kind for strike in strikes} == KINDS.keys()
    assert len(schedule(2_000, 100, seed, tuple(KINDS))) == 100


def test_strikes_come_in_order_within_the_load_and_from_the_seed() -> None:
    strikes = schedule(1_000, 60, 3, tuple(KINDS))
    moments = [strike.after for strike in strikes]
    assert moments == sorted(moments)
    assert 0 < moments[0] <= moments[-1] < 1_000
    assert strikes == schedule(1_000, 60, 3, tuple(KINDS))
    assert strikes != schedule(1_000, 60, 4, tuple(KINDS))


def test_few_transactions_and_few_kinds_have_a_schedule_too() -> None:
    assert [strike.kind for strike in schedule(1, 2, 1, ("kill_worker",))] == ["kill_worker"] * 2
    assert schedule(10, 0, 1, ("kill_worker",)) == []


@pytest.mark.parametrize("away_at", [0, 1])
async def test_a_supervisord_that_another_fault_kills_breaks_no_strike(away_at: int) -> None:
    asked = 0
    with Service(["sleep", "60"]) as sleeper:  # which writes nothing, and so is not hit

        def states(group: str) -> list[ProcessState]:
            nonlocal asked
            asked += 1
            if asked - 1 == away_at:
                raise SupervisordUnreachable("gone")
            return [ProcessState(group, "server_00", "RUNNING", sleeper.pid, 1.0, 0, "")]

        target: Any = SimpleNamespace(fleet=SimpleNamespace(states=states))
        with pytest.raises(Missed, match="would outlive it"):
            await KINDS["full_disk_server"](target, random.Random(1))
