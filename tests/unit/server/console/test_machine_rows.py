from typing import Any

import pytest

from ops.runtime.pushed_metrics import LabelledValue, PushedGroup
from server.console.machine_rows import BUILD, machine_rows, state_of


def process(name: str, state: str = "RUNNING", age: float | None = 1.0, **more: Any) -> Any:
    pushed = None if age is None else {"age_seconds": age, "stale": age > 20}
    group = name.rpartition(":")[2].partition("_")[0]
    return {"name": name, "group": group, "state": state, "exit_status": 0, "pushed": pushed} | more


def group(name: str, version: str) -> PushedGroup:
    build = [LabelledValue({"version": version}, 1.0)]
    return PushedGroup("gatekeeper_server", name, {BUILD: build})


def test_a_machine_is_a_row_with_its_processes_versions_and_last_push() -> None:
    processes = [
        process("b:server_00", "UNKNOWN"),
        process("b:worker_00", "UNKNOWN", 60.0),
        process("a:server_00", age=3.0),
        process("a:worker_00", age=2.0),
        process("a:provision", "EXITED", None),
    ]
    groups = [group("b:server_00", "2.0.0"), group("b:worker_00", "1.9.0"), group("a:x", "2.0.0")]
    assert machine_rows(processes, groups) == [
        {
            "machine": "a",
            "states": [("running", 2), ("done", 1)],
            "servers": 1,
            "workers": 1,
            "versions": ["2.0.0"],
            "age_seconds": 2.0,
        },
        {
            "machine": "b",
            "states": [("pushing", 1), ("silent", 1)],
            "servers": 1,
            "workers": 1,
            "versions": ["1.9.0", "2.0.0"],
            "age_seconds": 1.0,
        },
    ]


def test_a_machine_that_pushes_nothing_has_no_version() -> None:
    (row,) = machine_rows([process("a:pubsub", age=None)], [])
    assert (row["versions"], row["age_seconds"]) == ([], None)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (process("x"), "running"),
        (process("x", age=60.0), "silent"),
        (process("x", age=None), "running"),
        (process("x", "UNKNOWN"), "pushing"),
        (process("x", "EXITED"), "done"),
        (process("x", "EXITED", exit_status=1), "exited"),
        (process("x", "FATAL", age=60.0), "fatal"),
        (process("x", "GONE"), "gone"),
    ],
)
def test_a_state_is_a_word(found: Any, expected: str) -> None:
    assert state_of(found) == expected
