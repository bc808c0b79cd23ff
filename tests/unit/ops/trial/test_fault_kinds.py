import random
from types import SimpleNamespace
from typing import Any

import pytest

from ops.rig import Service
from ops.runtime.supervisord import ProcessState, SupervisordUnreachable
from ops.trial.fault_kinds import KINDS
from ops.trial.fault_target import NothingHit


@pytest.mark.parametrize("away_at", [0, 1])
async def test_a_supervisord_that_another_fault_kills_does_not_stop_a_fault(away_at: int) -> None:
    asked = 0
    with Service(["sleep", "60"]) as sleeper:  # does not ignore SIGXFSZ

        def states(group: str) -> list[ProcessState]:
            nonlocal asked
            asked += 1
            if asked - 1 == away_at:
                raise SupervisordUnreachable("gone")
            return [ProcessState(group, "server_00", "RUNNING", sleeper.pid, 1.0, 0, "")]

        target: Any = SimpleNamespace(machine=SimpleNamespace(fleet=SimpleNamespace(states=states)))
        with pytest.raises(NothingHit, match="would survive it"):
            await KINDS["full_disk_server"](target, random.Random(1))
