import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from ops.runtime import metrics
from ops.runtime.backlog import SubscriptionBacklog
from ops.runtime.pushed_metrics import LabelledValue, PushedGroup, parse_pushed
from ops.runtime.settings import Settings
from ops.runtime.supervisord import ProcessState
from server.console.fleet_rates import COUNTERS, END_TO_END
from server.console.snapshot import PUSHED_METRICS, SPOOLED, Rates, Sources, compose_state
from server.console.sources import CachedSource

NOW = 1_700_000_000.0
SETTINGS = Settings.parse({"METRICS_PUSH_SECONDS": "5", "INSTANCE": "m"})


def pushed(name: str, *, age: float = 1.0, **totals: float) -> PushedGroup:
    values = {COUNTERS[word]: value for word, value in totals.items()}
    values |= {"process_start_time_seconds": NOW - 100, "push_time_seconds": NOW - age}
    samples = {key: [LabelledValue({}, value)] for key, value in values.items()}
    applied = totals.get("applied", 0.0)
    samples[END_TO_END] = [LabelledValue({"le": bound}, applied) for bound in ("1", "+Inf")]
    own = name.rpartition(":")[2]
    return PushedGroup(f"gatekeeper_{own.partition('_')[0]}", name, samples)


def state(name: str, word: str = "RUNNING", exit_status: int = 0) -> ProcessState:
    """Return the state that supervisord of this machine has of `m:<name>`, or of `<name>`."""
    name = name.removeprefix("m:")
    return ProcessState(
        name.partition("_")[0], name, word, 7, 60.0, exit_status, "as the test says"
    )


def away() -> Any:
    raise ConnectionError("nobody there")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def composed(pool: ThreadPoolExecutor) -> Callable[..., Any]:
    """Return the state, by way of JSON, of sources that answer so."""
    rates = Rates.of(SETTINGS)

    async def composed(
        groups: Callable[[], list[PushedGroup]],
        states: Callable[[], list[ProcessState]] | None,
        backlog: Callable[[], SubscriptionBacklog] = lambda: SubscriptionBacklog(0, 0.0),
        rejected: Callable[[], dict[str, Any]] = dict,
    ) -> dict[str, Any]:
        def source[T](read: Callable[[], T]) -> CachedSource[T]:
            return CachedSource(read, pool, min_age=60, timeout=60)

        sources = Sources(
            source(groups),
            None if states is None else source(states),
            source(backlog),
            source(rejected),
        )
        for each in sources:
            query = None if each is None else each.refresh()
            if query is not None:
                await query
        state: dict[str, Any] = json.loads(
            json.dumps(
                compose_state(SETTINGS, sources, rates, "server_00", lambda: NOW), allow_nan=False
            )
        )
        return state

    return composed


async def test_totals_and_quantiles_are_of_all_processes(
    composed: Callable[..., Any],
) -> None:
    groups = [
        pushed("m:server_00", accepted=5, rejected=1),
        pushed("m:server_01", accepted=2),
        pushed("m:worker_00", applied=6, dead_lettered=1),
    ]
    seen = await composed(lambda: groups, lambda: [state(group.instance) for group in groups])
    assert seen["totals"] == {
        "accepted": 7,
        "rejected": 1,
        "applied": 6,
        "dead_lettered": 1,
        "unavailable": 0,
        "spooled": 0,
    }
    assert seen["end_to_end"] == pytest.approx({"count": 6, "p50": 0.5, "p99": 0.99})
    assert [row["name"] for row in seen["processes"]] == [
        "m:server_00", "m:server_01", "m:worker_00",
    ]  # fmt: skip
    assert seen["processes"][2]["pushed"]["applied"] == 6
    assert (seen["rates"], seen["recent"]) == (None, {"p50": None, "p99": None})
    groups = [pushed("m:server_00", accepted=45, rejected=1, age=-9), pushed("m:worker_00", age=-9)]
    seen = await composed(lambda: groups, lambda: [state(group.instance) for group in groups])
    assert seen["rates"] == dict.fromkeys(COUNTERS, 0) | {"accepted": 4}
    assert seen["processes"][0]["pushed"]["rates"]["accepted"] == 4
    assert {source["state"] for source in seen["sources"].values()} == {"up"}


async def test_a_process_that_no_longer_pushes_is_stale(composed: Callable[..., Any]) -> None:
    groups = [pushed("m:worker_00", age=16.9), pushed("m:worker_01", age=17.1)]
    seen = await composed(lambda: groups, lambda: [state("worker_00"), state("worker_01")])
    assert [row["pushed"]["stale"] for row in seen["processes"]] == [False, True]


async def test_a_group_without_a_process_and_a_process_without_a_group_are_shown(
    composed: Callable[..., Any],
) -> None:
    seen = await composed(lambda: [pushed("m:worker_05")], lambda: [state("pubsub", "FATAL")])
    rows = {row["name"]: row for row in seen["processes"]}
    assert rows["m:worker_05"]["state"] == "GONE"
    assert (rows["m:pubsub"]["state"], rows["m:pubsub"]["pushed"]) == ("FATAL", None)


async def test_processes_of_other_machines_are_shown_by_what_they_push(
    composed: Callable[..., Any],
) -> None:
    groups = [pushed("m:worker_00"), pushed("n:worker_00"), pushed("n:worker_01", age=60.0)]
    seen = await composed(lambda: groups, lambda: [state("worker_00")])
    assert seen["machine"] == "m"
    assert [(row["name"], row["state"], row["pushed"]["stale"]) for row in seen["processes"]] == [
        ("m:worker_00", "RUNNING", False),
        ("n:worker_00", "UNKNOWN", False),
        ("n:worker_01", "UNKNOWN", True),
    ]


async def test_without_supervisord_the_processes_are_those_that_push(
    composed: Callable[..., Any],
) -> None:
    seen = await composed(lambda: [pushed("m:server_00")], None)
    assert [(row["name"], row["state"]) for row in seen["processes"]] == [
        ("m:server_00", "UNKNOWN")
    ]
    assert seen["sources"]["supervisord"]["state"] == "absent"


async def test_a_source_that_is_down_is_reported_and_the_rest_is_shown(
    composed: Callable[..., Any],
) -> None:
    seen = await composed(away, lambda: [state("worker_00")], away, away)
    assert seen["sources"]["pushgateway"] == {
        "state": "down",
        "fault": "nobody there",
        "age": seen["sources"]["pushgateway"]["age"],
    }
    assert (seen["totals"], seen["end_to_end"], seen["backlog"]) == (None, None, None)
    assert seen["rejected"] is None
    assert [row["name"] for row in seen["processes"]] == ["m:worker_00"]

    seen = await composed(
        lambda: [pushed("m:worker_00")], away, lambda: SubscriptionBacklog(3, 1.5, " (late)")
    )
    assert seen["backlog"] == {"unacked": 3, "oldest_age_seconds": 1.5, "note": "late"}
    assert seen["processes"][0]["state"] == "UNKNOWN"


async def test_an_empty_fleet_is_a_state_too(composed: Callable[..., Any]) -> None:
    seen = await composed(list, list)
    assert seen["processes"] == []
    assert seen["totals"] == {
        "accepted": 0,
        "rejected": 0,
        "applied": 0,
        "dead_lettered": 0,
        "unavailable": 0,
        "spooled": 0,
    }
    assert seen["end_to_end"] == {"count": 0, "p50": None, "p99": None}


def test_every_metric_that_is_read_is_one_that_the_processes_push() -> None:
    assert metrics.APPLIED
    declared = generate_latest(REGISTRY).decode()
    for name in PUSHED_METRICS:
        assert f"\n# TYPE {name.removesuffix('_bucket')} " in declared


async def test_a_halted_worker_is_shown_with_the_command_that_goes_on(
    composed: Callable[..., Any],
) -> None:
    group = pushed("m:worker_00")
    group.samples["gatekeeper_halted"] = [LabelledValue({}, 1.0)]
    seen = await composed(lambda: [group, pushed("m:worker_01")], None)
    (halt,) = seen["problems"]
    assert halt["text"].startswith("m:worker_00 has halted")
    assert "`gatekeeper resume`" in halt["text"]
    assert halt["runbook"] == "GatekeeperWorkerHalted"


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1e300", "1e308", "9007199254740992"])
async def test_whatever_others_push_the_state_is_json(
    composed: Callable[..., Any], value: str
) -> None:
    names = (*COUNTERS.values(), SPOOLED, "process_start_time_seconds", "gatekeeper_halted")
    group = 'instance="%s",job="gatekeeper_server"'
    page = "".join(
        f"push_time_seconds{{{group % instance}}} 5\n"
        f'{END_TO_END}{{{group % instance},le="{value}"}} {value}\n'
        + "".join(f"{name}{{{group % instance}}} {value}\n" for name in names)
        for instance in ("a", "b", "[/x]", "x" * 5000, "\x1b[2J", "\u2028")
    )
    seen = await composed(lambda: parse_pushed(page, PUSHED_METRICS), None)
    assert [row["name"] for row in seen["processes"]] == ["[/x]", "a", "b"]
