import re
from typing import Any

import pytest

from ops.fleet.config import ROOT
from server.console.fleet_problems import problems

UP = {name: {"state": "up"} for name in ("pushgateway", "supervisord", "backlog", "ledger")}


def process(name: str, state: str = "RUNNING", age: float = 1.0, **more: Any) -> dict[str, Any]:
    found = {
        "name": f"m:{name}",
        "group": name.partition("_")[0],
        "state": state,
        "exit_status": 0,
        "description": "",
        "pushed": {"stale": age > 20, "age_seconds": age, "degraded": []},
    }
    return found | more


def degraded(name: str, *parts: str) -> dict[str, Any]:
    return process(name, pushed={"stale": False, "age_seconds": 1.0, "degraded": [*parts]})


def state(*processes: dict[str, Any], **more: Any) -> dict[str, Any]:
    found = {
        "processes": processes or (process("server_00"), process("worker_00")),
        "backlog": {"unacked": 0, "oldest_age_seconds": 0.0},
        "totals": {"spooled": 0},
        "rates": None,
        "sees_other_machines": True,
        "sources": UP,
    }
    return found | more


BACKLOG = {"unacked": 1_234, "oldest_age_seconds": 90.4}


@pytest.mark.parametrize(
    "fleet",
    [
        state(),
        state(process("worker_00", pushed=None), process("provision", "EXITED", pushed=None)),
        state(process("worker_00", "STARTING", pushed=None)),
        state(process("worker_00"), process("worker_01", "STOPPING")),
        state(process("server_00"), sees_other_machines=False),
        state(process("server_00"), totals=None),
        state(backlog={"unacked": 50, "oldest_age_seconds": 3.0}),
        state(backlog=None),
        state(rates={"accepted": 3.0, "unavailable": 0.0}),
    ],
)
def test_a_fleet_at_work_has_no_problems(fleet: dict[str, Any]) -> None:
    assert problems(fleet, []) == []


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        (state(process("server_00")), ["No worker applies transactions"]),
        (
            state(process("worker_00", age=34.2), backlog=BACKLOG),
            [
                "No worker applies transactions: 1,234 wait, the oldest for 90 s",
                "m:worker_00 has been silent for 34 s: it hangs, was killed, or is cut off",
            ],
        ),
        (state(backlog=BACKLOG), ["Transactions wait for long: 1,234 wait, the oldest for 90 s"]),
        (
            state(process("worker_00"), process("worker_01", "UNKNOWN", age=60.0)),
            ["m:worker_01 has been silent for 60 s: it hangs, was killed, or is cut off"],
        ),
        (
            state(process("worker_00"), process("server_00", "FATAL", description="too quickly")),
            ["m:server_00 is fatal: too quickly"],
        ),
        (
            state(process("worker_00"), process("pubsub", "EXITED", pushed=None, exit_status=1)),
            ["m:pubsub is exited"],
        ),
        (
            state(process("worker_00"), process("worker_07", "GONE")),
            ["m:worker_07 pushes and is not of this supervisord"],
        ),
        (
            state(totals={"spooled": 1200.0}),
            ["Pub/Sub does not take all: 1,200 transactions wait on the servers' disks"],
        ),
        (
            state(rates={"accepted": 0.0, "unavailable": 2.25}),
            ["2.2 transactions a second get 503: neither Pub/Sub nor a disk takes them"],
        ),
        (
            state(
                process("worker_00"),
                degraded("server_00", "spool", "api_keys"),
                degraded("server_01", "contracts"),
            ),
            [
                "The API keys file cannot be read, and requests with a key get 503: m:server_00",
                "The contracts have faults, and those before them stay in force: m:server_01",
            ],
        ),
        (
            state(sources={**UP, "ledger": {"state": "down", "fault": "no answer"}}),
            ["The ledger cannot be read: no answer"],
        ),
    ],
)
def test_each_problem_is_a_sentence(fleet: dict[str, Any], expected: list[str]) -> None:
    assert [each.text for each in problems(fleet, [])] == expected


def test_each_problem_has_its_section_in_the_runbook() -> None:
    source = (ROOT / "server" / "console" / "fleet_problems.py").read_text()
    named = set(re.findall(r'"(Gatekeeper[A-Za-z]+|Old metrics)"', source))
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    assert len(named) >= 9
    for each in named:
        assert f"## {each}\n" in runbook or f"**{each}.**" in runbook
