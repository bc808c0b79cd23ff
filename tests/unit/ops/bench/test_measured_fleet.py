import math

from ops.bench.measured_fleet import METRICS, FleetTotals, added, fleet_totals, new_faults
from ops.runtime.pushed_metrics import parse_pushed

PAGE = """\
# TYPE valid_payload_count_total counter
valid_payload_count_total{instance="server_00",job="gatekeeper_server"} 3
valid_payload_count_total{instance="server_01",job="gatekeeper_server"} 4
# TYPE gatekeeper_applied_total counter
gatekeeper_applied_total{instance="worker_00",job="gatekeeper_worker"} 7
# TYPE gatekeeper_dead_lettered_total counter
gatekeeper_dead_lettered_total{instance="worker_00",job="gatekeeper_worker",reason="x"} 1
# TYPE gatekeeper_leases_lost_total counter
gatekeeper_leases_lost_total{instance="worker_00",job="gatekeeper_worker"} 0
# TYPE gatekeeper_end_to_end_seconds histogram
gatekeeper_end_to_end_seconds_bucket{instance="worker_00",job="gatekeeper_worker",le="1"} 5
gatekeeper_end_to_end_seconds_bucket{instance="worker_01",job="gatekeeper_worker",le="1"} 1
gatekeeper_end_to_end_seconds_bucket{instance="worker_00",job="gatekeeper_worker",le="+Inf"} 7
gatekeeper_end_to_end_seconds_sum{instance="worker_00",job="gatekeeper_worker"} 7
gatekeeper_end_to_end_seconds_count{instance="worker_00",job="gatekeeper_worker"} 7
# TYPE push_time_seconds gauge
push_time_seconds{instance="server_00",job="gatekeeper_server"} 1e+09
push_time_seconds{instance="server_01",job="gatekeeper_server"} 1e+09
push_time_seconds{instance="worker_00",job="gatekeeper_worker"} 1.7e+09
push_time_seconds{instance="worker_01",job="gatekeeper_worker"} 1.6e+09
"""


def _read(page: str) -> FleetTotals:
    return fleet_totals(parse_pushed(page, METRICS))


def test_counts_and_histograms_of_all_processes_are_summed() -> None:
    found = _read(PAGE)
    assert found.applied == 7
    assert found.end_to_end == {1.0: 6.0, math.inf: 7.0}


def test_the_oldest_push_of_a_worker_dates_the_totals() -> None:
    assert _read(PAGE).pushed_at == 1.6e9
    assert _read("").pushed_at == 0


def test_a_counter_that_should_be_0_and_is_not_is_a_fault() -> None:
    assert _read(PAGE).faults == {"gatekeeper_dead_lettered_total": 1}


def test_values_added_between_two_readings_are_the_difference() -> None:
    assert added({1.0: 6.0, math.inf: 7.0}, {1.0: 2.0}) == {1.0: 4.0, math.inf: 7.0}


def test_only_a_counter_that_has_grown_is_a_new_fault() -> None:
    assert new_faults({"a": 3.0, "b": 2.0, "c": 1.0}, {"a": 3.0, "b": 1.0, "c": 4.0}) == {
        "b": 1.0,
        "c": 1.0,
    }
