"""What is wrong with the fleet, a sentence each, with its section of the runbook. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

OLD_SECONDS: Final = 60.0
"""A transaction that waits longer is a problem, whatever the reason."""

_FILES: Final = {
    "api_keys": (
        "The API keys file cannot be read, and requests with a key get 503",
        "GatekeeperApiKeysUnreadable",
    ),
    "contracts": (
        "The contracts have faults, and those before them stay in force",
        "GatekeeperContractsRefused",
    ),
}
"""Of a server's degraded parts: what it reads from files."""

_UNREADABLE: Final = {
    "pushgateway": ("The Pushgateway does not answer", "GatekeeperMetricsUnreachable"),
    "supervisord": ("supervisord does not answer", "GatekeeperProcessSilent"),
    "backlog": ("The backlog cannot be read", "GatekeeperPublishFailing"),
    "ledger": ("The ledger cannot be read", "GatekeeperWarehouseSlow"),
}


class Problem(NamedTuple):
    """A sentence, and the heading in docs/runbook.md."""

    text: str
    runbook: str


def problems(state: Mapping[str, Any], halts: Iterable[str]) -> list[Problem]:
    """Return the problems in a state of `compose_state`, the worst first; none if all is well.

    `halts` has a sentence for each halted worker.
    """
    return [
        *(Problem(each, "GatekeeperWorkerHalted") for each in halts),
        *_of_the_flow(state),
        *_of_files(state["processes"]),
        *(found for one in state["processes"] if (found := _of_process(one))),
        *_of_sources(state["sources"]),
    ]


def _of_the_flow(state: Mapping[str, Any]) -> Iterator[Problem]:
    if refused := (state["rates"] or {}).get("unavailable"):
        text = (
            f"{refused:,.1f} transactions a second get 503: neither Pub/Sub nor a disk takes them"
        )
        yield Problem(text, "GatekeeperPublishFailing")
    backlog = state["backlog"] or {"unacked": 0, "oldest_age_seconds": 0.0}
    waits = ""
    if backlog["unacked"]:
        age = _seconds(backlog["oldest_age_seconds"])
        waits = f": {backlog['unacked']:,} wait, the oldest for {age}"
    workers = [one for one in state["processes"] if one["group"] == "worker"]
    # A machine without workers that sees no other does not know.
    known = state["totals"] is not None and (workers or state["sees_other_machines"])
    if known and not any(map(_works, workers)):
        yield Problem(f"No worker applies transactions{waits}", "GatekeeperNoWorker")
    elif backlog["oldest_age_seconds"] > OLD_SECONDS:
        yield Problem(f"Transactions wait for long{waits}", "GatekeeperBacklogOld")
    if spooled := (state["totals"] or {}).get("spooled"):
        text = f"Pub/Sub does not take all: {spooled:,.0f} transactions wait on the servers' disks"
        yield Problem(text, "GatekeeperSpooling")


def _of_files(processes: Iterable[Mapping[str, Any]]) -> Iterator[Problem]:
    pushing = [one for one in processes if one["pushed"] is not None and _works(one)]
    for part, (text, runbook) in _FILES.items():
        if names := [one["name"] for one in pushing if part in one["pushed"]["degraded"]]:
            yield Problem(f"{text}: {', '.join(names)}", runbook)


def _works(one: Mapping[str, Any]) -> bool:
    """Return whether a process runs, as far as is known: a new one has not pushed yet."""
    silent = one["pushed"] is not None and one["pushed"]["stale"]
    return one["state"] in {"RUNNING", "STARTING", "UNKNOWN"} and not silent


def _of_process(one: Mapping[str, Any]) -> Problem | None:
    done = one["state"] == "EXITED" and one["exit_status"] == 0
    if done or one["state"] == "STOPPING" or _works(one):
        return None
    if one["state"] == "GONE":
        return Problem(f"{one['name']} pushes and is not of this supervisord", "Old metrics")
    if one["state"] in {"RUNNING", "STARTING", "UNKNOWN"}:
        age = _seconds(one["pushed"]["age_seconds"])
        text = f"{one['name']} has been silent for {age}: it hangs, was killed, or is cut off"
        return Problem(text, "GatekeeperProcessSilent")
    why = f": {one['description']}" if one["description"] else ""
    return Problem(f"{one['name']} is {one['state'].lower()}{why}", "GatekeeperProcessRestarting")


def _of_sources(sources: Mapping[str, Any]) -> Iterator[Problem]:
    for name, (text, runbook) in _UNREADABLE.items():
        if sources[name]["state"] == "down":
            yield Problem(f"{text}: {sources[name]['fault']}", runbook)


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s"
