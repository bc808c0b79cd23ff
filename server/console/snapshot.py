"""Composes the results of the sources into the JSON that the page reads."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Self

from ops.runtime.backlog import SubscriptionBacklog
from ops.runtime.halts import HALT_METRICS, RESUME, halts
from ops.runtime.process import full_name
from ops.runtime.pushed_metrics import PushedGroup, add_buckets, quantile, stale_seconds
from ops.runtime.settings import Settings
from ops.runtime.supervisord import ProcessState
from server.console.fleet_problems import problems
from server.console.fleet_rates import COUNTERS, END_TO_END, FleetRates, counts
from server.console.largest_rates import LABELS, LargestRates
from server.console.machine_rows import BUILD, machine_rows
from server.console.sources import CachedSource
from server.console.waiting_lanes import LANE_OLDEST, waiting_lanes

SPOOLED: Final = "gatekeeper_spool_messages"
DEGRADED: Final = "gatekeeper_degraded"
PUSHED_METRICS: Final = (
    *COUNTERS.values(),
    DEGRADED,
    SPOOLED,
    END_TO_END,
    *LABELS,
    LANE_OLDEST,
    BUILD,
    *HALT_METRICS,
)

_ORDER: Final = {"server": 0, "worker": 1}


class Sources(NamedTuple):
    """A server that supervisord did not start has no `supervisord`."""

    pushgateway: CachedSource[list[PushedGroup]]
    supervisord: CachedSource[list[ProcessState]] | None
    backlog: CachedSource[SubscriptionBacklog]
    ledger: CachedSource[dict[str, Any]]


class Rates(NamedTuple):
    """What is known only from several pushes: fed with each."""

    fleet: FleetRates
    largest: LargestRates

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(FleetRates(settings), LargestRates(settings))


def compose_state(
    settings: Settings,
    sources: Sources,
    rates: Rates,
    server: str,
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Return the state of the fleet. Times are Unix or monotonic seconds, totals are counts.

    `rates` is fed with what is pushed now; rates are per second, null while they are unknown.

    If a source does not answer, its part is null, and `sources` has the reason. `problems` has what
    a person should look at.
    """
    now = clock()
    groups = sources.pushgateway.latest.value
    processes = None if sources.supervisord is None else sources.supervisord.latest.value
    backlog = sources.backlog.latest.value
    for each in rates:
        each.observe(groups or (), now)
    rows = _processes(settings, groups or [], processes, rates.fleet, now)
    state = {
        "server": server,
        "now": now,
        "monotonic": time.monotonic(),
        "sources": {name: _status(source) for name, source in sources._asdict().items()},
        "totals": None if groups is None else totals(groups),
        "rates": rates.fleet.total(),
        "end_to_end": None if groups is None else _end_to_end(groups),
        "recent": rates.fleet.recent(),
        "backlog": None if backlog is None else _backlog(backlog),
        "machine": settings.instance,
        "sees_other_machines": settings.pushgateway_prometheus_host is not None,
        "processes": rows,
        "machines": machine_rows(rows, groups or ()),
        "lanes": None if groups is None else waiting_lanes(groups, now, stale_seconds(settings)),
        "by_table": rates.largest.of("table"),
        "by_source": rates.largest.of("source"),
        "rejected": sources.ledger.latest.value,
    }
    halted = [f"{each}; {RESUME}" for each in halts(groups or (), now)]
    return {**state, "problems": [each._asdict() for each in problems(state, halted)]}


def totals(groups: Sequence[PushedGroup]) -> dict[str, float]:
    """Return the totals of all groups by the page's names."""
    names = {**COUNTERS, "spooled": SPOOLED}
    return {key: sum(group.total(name) for group in groups) for key, name in names.items()}


def _status(source: CachedSource[Any] | None) -> dict[str, Any]:
    if source is None:
        return {"state": "absent", "fault": "supervisord did not start this server", "age": None}
    latest = source.latest
    age = None if latest.at is None else round(time.monotonic() - latest.at, 3)
    state = "down" if latest.fault is not None else "asking" if latest.at is None else "up"
    return {"state": state, "fault": latest.fault, "age": age}


def _end_to_end(groups: list[PushedGroup]) -> dict[str, float | None]:
    """Return the quantiles, in seconds, of all that the running processes have settled."""
    buckets = add_buckets(group.buckets(END_TO_END) for group in groups)
    return {
        "count": buckets.get(math.inf, 0),
        "p50": quantile(buckets, 0.5),
        "p99": quantile(buckets, 0.99),
    }


def _backlog(backlog: SubscriptionBacklog) -> dict[str, Any]:
    return {
        "unacked": backlog.unacked,
        "oldest_age_seconds": round(backlog.oldest_age_seconds, 3),
        "note": backlog.note.strip(" ()"),
    }


def _processes(
    settings: Settings,
    groups: list[PushedGroup],
    states: list[ProcessState] | None,
    rates: FleetRates,
    now: float,
) -> list[dict[str, Any]]:
    """Return every process of supervisord or the Pushgateway, in the fleet's order.

    Those of other machines, whose supervisord does not answer here, are UNKNOWN: they only push.
    """
    stale_after = stale_seconds(settings)
    pushed = {group.instance: _pushed(group, rates, now, stale_after) for group in groups}
    own = {group.instance for group in groups if group.machine == settings.instance}
    rows = [
        {
            "name": (name := full_name(settings.instance, state.name)),
            "group": state.group,
            "state": state.state,
            "pid": state.pid,
            "uptime_seconds": state.uptime_seconds,
            "exit_status": state.exit_status,
            "description": state.description,
            "pushed": pushed.pop(name, None),
        }
        for state in states or ()
    ]
    missing = dict.fromkeys(("pid", "uptime_seconds", "exit_status"))
    rows += [
        {
            **missing,
            "name": name,
            "group": group["job"].removeprefix("gatekeeper_"),
            "state": "GONE" if states is not None and name in own else "UNKNOWN",
            "description": "",
            "pushed": group,
        }
        for name, group in pushed.items()
    ]
    return sorted(rows, key=lambda row: (_ORDER.get(row["group"], len(_ORDER)), row["name"]))


def _pushed(
    group: PushedGroup, rates: FleetRates, now: float, stale_after: float
) -> dict[str, Any]:
    age = max(0.0, now - group.pushed_at)
    return {
        "job": group.job,
        "started_at": group.started_at,
        "pushed_at": group.pushed_at,
        "age_seconds": round(age, 3),
        "stale": age > stale_after,
        "rates": rates.of(group.instance),
        "degraded": [
            each.labels.get("part", "") for each in group.samples.get(DEGRADED, ()) if each.value
        ],
        **counts(group),
    }
