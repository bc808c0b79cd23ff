import pytest

from ops.runtime.backlog import SubscriptionBacklog
from ops.runtime.pushed_metrics import LabelledValue, PushedGroup
from ops.runtime.settings import Settings
from server.console.fleet_rates import COUNTERS, END_TO_END, FleetRates, chart_point

NOW = 1_700_000_000.0
SETTINGS = Settings.parse({"METRICS_PUSH_SECONDS": "5"})


def worker(at: float, fast: int, slow: int, started: float = 0.0) -> PushedGroup:
    """Return a push of a worker that applied some in less than 1 s, some in less than 10 s."""
    values = {
        COUNTERS["applied"]: fast + slow,
        "process_start_time_seconds": NOW + started,
        "push_time_seconds": NOW + at,
    }
    samples = {key: [LabelledValue({}, float(value))] for key, value in values.items()}
    buckets = (("1", fast), ("10", fast + slow), ("+Inf", fast + slow))
    samples[END_TO_END] = [LabelledValue({"le": bound}, float(n)) for bound, n in buckets]
    return PushedGroup("gatekeeper_worker", "m:worker_00", samples)


def test_the_quantiles_are_those_of_the_last_minute() -> None:
    rates = FleetRates(SETTINGS)
    rates.observe([worker(0, 1_000_000, 0)], NOW)
    assert rates.recent() == {"p50": None, "p99": None}
    rates.observe([worker(30, 1_000_000, 10)], NOW + 30)
    assert rates.recent()["p50"] == pytest.approx(5.5)
    rates.observe([worker(60, 1_000_010, 10)], NOW + 60)
    assert rates.recent() == pytest.approx({"p50": 1.0, "p99": 9.82})
    rates.observe([worker(120, 1_000_010, 10)], NOW + 120)
    assert rates.recent() == {"p50": None, "p99": None}


def test_a_point_has_what_is_known() -> None:
    rates = FleetRates(SETTINGS)
    backlog = SubscriptionBacklog(7, 1.5)
    waiting = {"backlog": 7, "oldest_seconds": 1.5}
    assert chart_point(rates, None, backlog) == waiting
    groups = [worker(0, 0, 0)]
    rates.observe(groups, NOW)
    assert chart_point(rates, groups, None) == {"p50": None, "p99": None}
    groups = [worker(10, 20, 0)]
    rates.observe(groups, NOW + 10)
    point = chart_point(rates, groups, backlog)
    assert (point["applied"], point["accepted"]) == (2, 0)
    assert {name: point[name] for name in waiting} == waiting


def test_a_restart_is_a_gap_and_never_negative() -> None:
    rates = FleetRates(SETTINGS)
    for groups in ([worker(0, 900, 0)], [worker(10, 1_000, 0)], [worker(20, 5, 0, started=15)]):
        rates.observe(groups, groups[0].pushed_at)
    assert chart_point(rates, groups, None) == {"p50": None, "p99": None}
    rates.observe([worker(30, 25, 0, started=15)], NOW + 30)
    assert (rates.total() or {})["applied"] == 2
