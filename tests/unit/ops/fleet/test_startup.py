from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from ops.fleet.config import ConfiguredProcess, FleetConfig
from ops.fleet.startup import ReadinessCheck, StartFailed, StartupMonitor
from ops.runtime.supervisord import ProcessState, Supervisord

type Polls = list[list[ProcessState]]


def state(name: str, word: str = "RUNNING", pid: int = 7, exit_status: int = 0) -> ProcessState:
    return ProcessState(name.partition("_")[0], name, word, pid, 1.0, exit_status, "")


def fleet(folder: Path) -> FleetConfig:
    processes = (ConfiguredProcess("worker", "worker_00", folder / "worker_00.log"),)
    return FleetConfig(
        file=folder / "supervisord.conf",
        address="127.0.0.1:1",
        socket=folder / "s.sock",
        pid_file=folder / "pid",
        log=folder / "supervisord.log",
        processes=processes,
    )


class FakeStates:
    """A supervisord that returns one list of states after the other, the last repeatedly."""

    def __init__(self, polls: Polls) -> None:
        self._polls = polls

    def states(self) -> list[ProcessState]:
        return self._polls.pop(0) if len(self._polls) > 1 else self._polls[0]


@pytest.fixture
def watch(tmp_path: Path) -> Callable[[Polls], StartupMonitor]:
    return lambda polls: StartupMonitor(fleet(tmp_path), cast("Supervisord", FakeStates(polls)))


@pytest.mark.parametrize(
    "dead",
    [
        state("worker_00", "BACKOFF", 0),
        state("worker_00", "FATAL", 0),
        state("worker_00", "EXITED", 0, exit_status=1),
        state("worker_00", pid=8),
    ],
    ids=["backoff", "fatal", "exited", "already started again"],
)
def test_a_process_that_dies_is_reported_with_the_end_of_its_log(
    watch: Callable[[Polls], StartupMonitor], tmp_path: Path, dead: ProcessState
) -> None:
    log = "".join(f"line {number}\n" for number in range(100))
    (tmp_path / "worker_00.log").write_text(log)
    watching = watch([[state("worker_00")], [dead]])
    watching.check_alive()
    with pytest.raises(StartFailed, match="worker_00 died") as error:
        watching.check_alive()
    assert "line 99" in str(error.value)
    assert "line 1\n" not in str(error.value)


def test_a_local_service_that_is_not_needed_in_the_cloud_has_not_died(
    watch: Callable[[Polls], StartupMonitor],
) -> None:
    watch([[state("pubsub", "EXITED", 0)]]).check_alive()


def test_waiting_reports_what_is_missing_and_gives_up(
    watch: Callable[[Polls], StartupMonitor],
) -> None:
    with pytest.raises(StartFailed, match=r"not ready after 0 s: the moon"):
        watch([[]]).wait(lambda _: "the moon", lambda _: None, seconds=0)


def test_waiting_ends_when_nothing_is_missing(watch: Callable[[Polls], StartupMonitor]) -> None:
    answers = iter(["this", "that", None])
    watch([[]]).wait(lambda _: next(answers), lambda _: None)
    assert next(answers, "asked no more") == "asked no more"


def test_what_is_missing_is_reported_in_the_order_of_the_start(tmp_path: Path) -> None:
    missing = ReadinessCheck(fleet(tmp_path))
    worker, server = state("worker_00"), state("server_00")
    assert missing([server, state("worker_00", "STARTING")]) == "no worker is running yet"
    assert missing([worker, state("server_00", "STARTING")]) == "no server is running yet"
    assert "being created" in (missing([worker, server, state("provision")]) or "")
    done = state("provision", "EXITED", 0)
    assert "/readyz does not answer" in (missing([worker, server, done]) or "")


def test_what_a_machine_does_not_run_is_not_missing(tmp_path: Path) -> None:
    missing = ReadinessCheck(fleet(tmp_path))
    assert missing([state("worker_00")]) is None
    assert "/readyz does not answer" in (missing([state("server_00")]) or "")
