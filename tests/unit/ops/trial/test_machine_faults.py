import asyncio
import random
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from ops.rig import Service, eventually
from ops.rig.fault_proxy import FaultProxy
from ops.runtime.supervisord import ProcessState
from ops.trial.fault_kinds import KINDS


class FakeProxy(FaultProxy):
    """Notes the faults, and holds a job of `worker` when `late` is injected."""

    def __init__(self, worker: str = "") -> None:
        super().__init__("127.0.0.1:1", "")
        self.noted: list[tuple[str, float]] = []
        self._worker = worker

    async def inject(self, fault: str, seconds: float) -> None:
        self.noted.append((fault, seconds))

    async def next_late_worker(self) -> str:
        await asyncio.sleep(0)
        return self._worker


@pytest.fixture
def sleeper() -> Iterator[Service]:
    with Service(["sleep", "60"]) as running:
        yield running


def target(worker: Service | None = None) -> Any:
    def states(group: str) -> list[ProcessState]:
        pid = worker.pid if worker else 0
        return [ProcessState(group, "worker_01", "RUNNING", pid, 1.0, 0, "")]

    settings = SimpleNamespace(lease_seconds=0)
    fleet = SimpleNamespace(states=states, settings=settings)
    machine = SimpleNamespace(fleet=fleet, pubsub=FakeProxy(), bigquery=FakeProxy("m1-worker_01"))
    return SimpleNamespace(machine=machine, quiet_seconds=5.0)


async def test_a_partition_refuses_both_services_for_the_same_time() -> None:
    cut_off = target()
    await KINDS["partition"](cut_off, random.Random(1))
    machine = cut_off.machine
    assert machine.pubsub.noted == machine.bigquery.noted
    assert [fault for fault, _ in machine.pubsub.noted] == ["refuse"]


async def test_an_orphan_job_is_one_whose_worker_is_killed_or_paused(sleeper: Service) -> None:
    hit = target(sleeper)
    kill, pause = (random.Random(seed) for seed in (2, 1))
    paused = asyncio.ensure_future(KINDS["orphan_job"](hit, pause))
    stopped = psutil.STATUS_STOPPED
    await eventually(lambda: psutil.Process(sleeper.pid).status() == stopped)
    assert "paused worker_01" in await paused
    assert "killed worker_01" in await KINDS["orphan_job"](hit, kill)
    assert sleeper.wait() == -signal.SIGKILL
    assert {fault for fault, _ in hit.machine.bigquery.noted} == {"late"}
