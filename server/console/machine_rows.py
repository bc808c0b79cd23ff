"""The machines of the fleet: their processes by state, their versions, their last push. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ops.runtime.pushed_metrics import PushedGroup

BUILD: Final = "gatekeeper_build_info"

type Process = Mapping[str, Any]
"""A process of `server.console.snapshot.compose_state`."""


def machine_rows(
    processes: Iterable[Process], groups: Iterable[PushedGroup]
) -> list[dict[str, Any]]:
    """Return a row for each machine, by its name; `states` has the number of processes of each.

    `versions` are those that its processes push: several while it is being upgraded, none for
    processes that push no version. `age_seconds` is that of its last push, None without any.
    """
    versions: dict[str, set[str]] = {}
    for group in groups:
        pushed = {sample.labels.get("version", "") for sample in group.samples.get(BUILD, ())}
        versions.setdefault(group.machine, set()).update(pushed - {""})
    by_machine: dict[str, list[Process]] = {}
    for each in processes:
        by_machine.setdefault(each["name"].rpartition(":")[0], []).append(each)
    return [
        {
            "machine": machine,
            "states": Counter(map(state_of, own)).most_common(),
            "servers": sum(each["group"] == "server" for each in own),
            "workers": sum(each["group"] == "worker" for each in own),
            "versions": sorted(versions.get(machine, ())),
            "age_seconds": min(
                (each["pushed"]["age_seconds"] for each in own if each["pushed"]), default=None
            ),
        }
        for machine, own in sorted(by_machine.items())
    ]


def state_of(process: Process) -> str:
    """Return a process's state in a word, as far as it is known."""
    state, silent = process["state"], process["pushed"] is not None and process["pushed"]["stale"]
    if silent and state in {"RUNNING", "UNKNOWN"}:
        return "silent"
    if state == "UNKNOWN":
        return "pushing"
    if state == "EXITED" and process["exit_status"] == 0:
        return "done"
    return str(state).lower()
