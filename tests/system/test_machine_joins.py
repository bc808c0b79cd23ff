"""Two machines: one with servers and the embedded services, one that joins with workers alone."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet
from tests.support.stream import insert, transaction

ADDRESSES = ("PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "PUSHGATEWAY_PROMETHEUS_HOST")

PUSHES: dict[str, Any] = {"METRICS_PUSH_SECONDS": "5"}
"""So that a process on a slow machine counts as silent after 17 s only."""


class TwoMachines:
    """`web-1` has no workers; `work-1` has no servers, and its services are web-1's."""

    def __init__(self, folder: Path) -> None:
        folders = folder / "web-1", folder / "work-1"
        for each in folders:
            each.mkdir()
        self.first = DisposableFleet(
            folders[0], INSTANCE="web-1", WORKERS="0", SERVERS="1", **PUSHES
        )
        addresses: dict[str, Any] = {name: self.first.variables[name] for name in ADDRESSES}
        self.second = DisposableFleet(
            folders[1],
            INSTANCE="work-1",
            SERVERS="0",
            WORKERS="2",
            LOCAL="0",
            **PUSHES,
            **addresses,
        )


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[TwoMachines]:
    running = TwoMachines(tmp_path)
    try:
        yield running
    except BaseException:
        sys.stderr.write(running.first.logs() + running.second.logs())
        raise
    finally:
        running.second.end()
        running.first.end()


def status(fleet: DisposableFleet) -> tuple[int, str]:
    done = fleet.gatekeeper("status", check=False)
    return done.returncode, done.stdout


def shows(fleet: DisposableFleet, code: int, *patterns: str) -> bool:
    """Whether `gatekeeper status` ends so, with all of these in it; to be polled."""
    found, text = status(fleet)
    return found == code and all(re.search(each, text) for each in patterns)


@pytest.mark.timeout(1_800)  # two fleets, one of them three times
def test_a_second_machine_joins_works_and_is_missed_when_it_is_gone(machines: TwoMachines) -> None:
    first, second = machines.first, machines.second
    assert "web-1" in first.up()
    assert [each.group for each in first.states("server", "worker")] == ["server"]
    for number in range(20):
        assert first.post(transaction(insert("joined", n=number)))[0] == 200

    said = second.up()
    assert "work-1" in said
    assert "curl" not in said
    own = {"worker_00", "worker_01", "autoscale"}  # the others exit when they find LOCAL=0
    wait_until(lambda: {x.name for x in second.states() if x.state == "RUNNING"} == own, 120)
    first.wait_until_drained(120)
    ledger = "SELECT DISTINCT worker FROM gatekeeper_ledger"
    workers = {str(row["worker"]) for row in first.query(ledger)}
    assert workers
    assert workers <= {"work-1:worker_00", "work-1:worker_01"}

    # Each machine sees the other by what it pushes, and prints that it sees no more.
    wait_until(
        lambda: shows(first, 0, "web-1:server_00 +│ running", "work-1:worker_01 +│ pushing"), 240
    )
    wait_until(
        lambda: shows(second, 0, "work-1:worker_01 +│ running", "web-1:server_00 +│ pushing"), 240
    )
    assert "work-1: seen from web-1 only by what" in status(first)[1]

    second.lose()
    wait_until(
        lambda: shows(first, 1, "work-1:worker_00 +│ silent", "work-1:worker_01 +│ silent"), 240
    )
    second.up()
    wait_until(lambda: shows(first, 0, "work-1:worker_00 +│ pushing"), 240)

    # A machine that is taken down takes its processes off every page.
    second.down()
    code, text = status(first)
    assert code == 0
    assert "work-1" not in text
