"""Puts together what the sources know: the JSON that the page reads."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ops.runtime.backlog import SubscriptionBacklog
from ops.runtime.pushed_metrics import PushedGroup, add_buckets, quantile
from ops.runtime.settings import Settings
from ops.runtime.supervisord import ProcessState
from server.console.sources import Source

COUNTERS: Final = {
    "accepted": "gatekeeper_published_total",
    "rejected": "invalid_payload_count_total",
    "applied": "gatekeeper_applied_total",
    "dead_lettered": "gatekeeper_dead_lettered_total",
    "spooled": "gatekeeper_spool_messages",
}
"""The page's name of each total, and the metric that it is read from."""

END_TO_END: Final = "gatekeeper_end_to_end_seconds_bucket"
PUSHED_METRICS: Final = (*COUNTERS.values(), END_TO_END)

STALE_PUSHES: Final = 3
"""Pushes missed, and a moment, before a process's numbers count as stale."""

_GRACE_SECONDS: Final = 2.0


class Sources(NamedTuple):
    """Whom the console asks. A server that supervisord did not start has no `supervisord`."""

    pushgateway: Source[list[PushedGroup]]
    supervisord: Source[list[ProcessState]] | None
    backlog: Source[SubscriptionBacklog]
    ledger: Source[list[dict[str, str | None]]]


def compose(
    settings: Settings,
    sources: Sources,
    server: str,
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Return the state of the fleet. Times are Unix or monotonic seconds, totals are counts.

    Of a source that does not answer, the part that it would tell is null, and `sources` says why.
    """
    now = clock()
    groups = sources.pushgateway.seen.value
    states = None if sources.supervisord is None else sources.supervisord.seen.value
    waiting = sources.backlog.seen.value
    stale_after = STALE_PUSHES * settings.metrics_push_seconds + _GRACE_SECONDS
    return {
        "server": server,
        "now": now,
        "monotonic": time.monotonic(),
        "stale_after_seconds": stale_after,
        "sources": {name: _status(source) for name, source in sources._asdict().items()},
        "totals": None if groups is None else totals(groups),
        "end_to_end": None if groups is None else _end_to_end(groups),
        "backlog": None if waiting is None else _backlog(waiting),
        "processes": _processes(groups or [], states, now, stale_after),
        "rejected": sources.ledger.seen.value,
    }


def _status(source: Source[Any] | None) -> dict[str, Any]:
    if source is None:
        return {"state": "absent", "fault": "supervisord did not start this server", "age": None}
    seen = source.seen
    if seen.fault is not None:
        state = "down"
    elif seen.at is None:
        state = "asking"
    else:
        state = "up"
    age = None if seen.at is None else round(time.monotonic() - seen.at, 3)
    return {"state": state, "fault": seen.fault, "age": age}


def totals(groups: Sequence[PushedGroup]) -> dict[str, float]:
    """Return the totals of all groups by the page's names."""
    return {key: sum(group.total(name) for group in groups) for key, name in COUNTERS.items()}


def _end_to_end(groups: list[PushedGroup]) -> dict[str, float | None]:
    """Return the quantiles of all that was settled since the processes started, in seconds."""
    buckets = add_buckets(group.buckets(END_TO_END) for group in groups)
    return {
        "count": buckets.get(math.inf, 0),
        "p50": quantile(buckets, 0.5),
        "p99": quantile(buckets, 0.99),
    }


def _backlog(waiting: SubscriptionBacklog) -> dict[str, Any]:
    return {
        "unacked": waiting.unacked,
        "oldest_age_seconds": round(waiting.oldest_age_seconds, 3),
        "note": waiting.note.strip(" ()"),
    }


def _processes(
    groups: list[PushedGroup], states: list[ProcessState] | None, now: float, stale_after: float
) -> list[dict[str, Any]]:
    """Return every process that supervisord or the Pushgateway knows, in the fleet's order."""
    by_name = {group.instance: group for group in groups}
    rows = [
        {
            "name": state.name,
            "group": state.group,
            "state": state.state,
            "pid": state.pid,
            "uptime_seconds": state.uptime_seconds,
            "exit_status": state.exit_status,
            "description": state.description,
            "pushed": _pushed(by_name.pop(state.name, None), now, stale_after),
        }
        for state in states or ()
    ]
    unseen = "UNKNOWN" if states is None else "GONE"
    rows += [
        {
            "name": group.instance,
            "group": group.job.removeprefix("gatekeeper_"),
            "state": unseen,
            "pid": None,
            "uptime_seconds": None,
            "exit_status": None,
            "description": "",
            "pushed": _pushed(group, now, stale_after),
        }
        for group in by_name.values()
    ]
    order = {"server": 0, "worker": 1}
    return sorted(rows, key=lambda row: (order.get(row["group"], 2), row["name"]))


def _pushed(group: PushedGroup | None, now: float, stale_after: float) -> dict[str, Any] | None:
    if group is None:
        return None
    age = max(0.0, now - group.pushed_at)
    return {
        "job": group.job,
        "started_at": group.started_at,
        "pushed_at": group.pushed_at,
        "age_seconds": round(age, 3),
        "stale": age > stale_after,
        **totals([group]),
        # Infinity has no JSON: null is the last bound.
        "end_to_end": [
            [bound if math.isfinite(bound) else None, count]
            for bound, count in group.buckets(END_TO_END).items()
        ],
    }
