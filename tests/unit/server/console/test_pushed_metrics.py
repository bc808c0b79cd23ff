import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, generate_latest

from ops.runtime import metrics
from server.console.pushed_metrics import COUNTERS, END_TO_END, parse, quantile, summed

PAGE = """\
# HELP gatekeeper_applied_total Transactions committed to the warehouse.
# TYPE gatekeeper_applied_total counter
gatekeeper_applied_total{instance="worker_00",job="gatekeeper_worker"} 12
gatekeeper_applied_total{instance="worker_01",job="gatekeeper_worker"} 3
gatekeeper_applied_total{instance="x",job="somebody_else"} 99
# TYPE gatekeeper_dead_lettered_total counter
gatekeeper_dead_lettered_total{instance="worker_00",job="gatekeeper_worker",reason="too_large"} 1
gatekeeper_dead_lettered_total{instance="worker_00",job="gatekeeper_worker",reason="too_old"} 2
# TYPE gatekeeper_end_to_end_seconds histogram
gatekeeper_end_to_end_seconds_bucket{instance="worker_00",job="gatekeeper_worker",le="0.5"} 4
gatekeeper_end_to_end_seconds_bucket{instance="worker_00",job="gatekeeper_worker",le="+Inf"} 12
gatekeeper_end_to_end_seconds_bucket{instance="worker_00",job="gatekeeper_worker",le="0.1"} 1
gatekeeper_end_to_end_seconds_sum{instance="worker_00",job="gatekeeper_worker"} 3.5
process_start_time_seconds{instance="worker_00",job="gatekeeper_worker"} 1.7e+09
push_time_seconds{instance="worker_00",job="gatekeeper_worker"} 1.70000001e+09
push_time_seconds{instance="worker_01",job="gatekeeper_worker"} 1.70000002e+09
push_time_seconds{instance="x",job="somebody_else"} 1.70000002e+09
"""


def test_each_process_has_its_own_totals_and_times() -> None:
    first, second = parse(PAGE)
    assert (first.job, first.name) == ("gatekeeper_worker", "worker_00")
    assert first.totals == {
        "accepted": 0,
        "rejected": 0,
        "applied": 12,
        "dead_lettered": 3,
        "spooled": 0,
    }
    assert (first.started_at, first.pushed_at) == (1_700_000_000, 1_700_000_010)
    assert first.end_to_end == [(0.1, 1), (0.5, 4), (math.inf, 12)]
    assert (second.name, second.totals["applied"], second.end_to_end) == ("worker_01", 3, [])


def test_an_empty_page_holds_nobody() -> None:
    assert parse("") == []


def test_a_hostile_name_is_a_name() -> None:
    page = 'push_time_seconds{instance="<b>\\"\\\\",job="gatekeeper_worker"} 1\n'
    assert parse(page)[0].name == '<b>"\\'


def test_every_metric_that_is_read_is_one_that_the_processes_push() -> None:
    assert metrics.APPLIED
    declared = generate_latest(REGISTRY).decode()
    for name in (*COUNTERS.values(), END_TO_END):
        assert f"\n# TYPE {name.removesuffix('_bucket')} " in declared


def test_histograms_add_up_by_their_bounds() -> None:
    one, other = [(0.1, 1.0), (math.inf, 2.0)], [(0.1, 3.0), (math.inf, 3.0)]
    assert summed([one, other, []]) == [(0.1, 4.0), (math.inf, 5.0)]
    assert summed([]) == []


def test_a_quantile_lies_in_its_bucket_in_proportion() -> None:
    buckets = [(1.0, 10.0), (2.0, 30.0), (math.inf, 40.0)]
    assert quantile(buckets, 0.25) == 1.0
    assert quantile(buckets, 0.5) == 1.5
    assert quantile(buckets, 0.99) == 2.0, "above the last finite bound it is that bound"


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile([], 0.5) is None
    assert quantile([(1.0, 0.0), (math.inf, 0.0)], 0.5) is None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.floats(0.01, 1))
def test_a_quantile_never_leaves_the_bounds(counts: list[int], share: float) -> None:
    running, buckets = 0.0, []
    for bound, count in enumerate([*counts, 1], 1):
        running += count
        buckets.append((float(bound), running))
    buckets.append((math.inf, running))
    found = quantile(buckets, share)
    assert found is not None
    assert 0 <= found <= len(counts) + 1
