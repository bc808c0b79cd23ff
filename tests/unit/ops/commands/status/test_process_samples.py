import pytest

from ops.commands.status.process_samples import ProcessSample, SpoolBacklog, samples, spool
from ops.runtime.pushed_metrics import PushedGroup, parse_pushed

PAGE = """\
# TYPE valid_payload_count_total counter
valid_payload_count_total{instance="server_00",job="gatekeeper_server"} 90
valid_payload_count_total{instance="worker_00",job="gatekeeper_worker"} 0
# TYPE invalid_payload_count_total counter
invalid_payload_count_total{instance="server_00",job="gatekeeper_server"} 10
# TYPE gatekeeper_applied_total counter
gatekeeper_applied_total{instance="worker_00",job="gatekeeper_worker"} 80
# TYPE gatekeeper_dead_lettered_total counter
gatekeeper_dead_lettered_total{instance="worker_00",job="gatekeeper_worker",reason="too_large"} 3
gatekeeper_dead_lettered_total{instance="worker_00",job="gatekeeper_worker",reason="other"} 7
# TYPE process_start_time_seconds gauge
process_start_time_seconds{instance="server_00",job="gatekeeper_server"} 1000
process_start_time_seconds{instance="worker_00",job="gatekeeper_worker"} 1000
# TYPE push_time_seconds gauge
push_time_seconds{instance="server_00",job="gatekeeper_server"} 1050
push_time_seconds{instance="worker_00",job="gatekeeper_worker"} 1030
push_time_seconds{instance="nightly",job="other"} 1030
"""


def groups(page: str) -> list[PushedGroup]:
    return parse_pushed(page, ("gatekeeper_", "valid_", "invalid_"))


def test_each_process_has_its_own_work_and_no_other_job_counts() -> None:
    assert samples(groups(PAGE), 1060) == {
        "server_00": ProcessSample("", "checked", 100, 1000, 1050, 10),
        "worker_00": ProcessSample("", "settled", 90, 1000, 1030, 30),
    }


def test_the_rate_is_the_average_since_the_start() -> None:
    assert samples(groups(PAGE), 1060)["server_00"].rate(None) == pytest.approx(2)


def test_the_rate_between_two_pushes_is_of_that_time() -> None:
    before = ProcessSample("", "settled", 60, 1000, 1020, 0)
    assert samples(groups(PAGE), 1060)["worker_00"].rate(before) == pytest.approx(3)


def test_a_process_that_restarted_in_between_starts_again() -> None:
    before = ProcessSample("", "settled", 600, 500, 1020, 0)
    assert samples(groups(PAGE), 1060)["worker_00"].rate(before) == pytest.approx(3)


def test_the_spool_is_the_sum_of_all_servers() -> None:
    assert str(spool(groups(PAGE))) == "empty"
    page = (
        PAGE
        + """\
# TYPE gatekeeper_spool_bytes gauge
gatekeeper_spool_bytes{instance="server_00",job="gatekeeper_server"} 2.5e6
gatekeeper_spool_bytes{instance="worker_00",job="gatekeeper_worker"} 7
# TYPE gatekeeper_spool_messages gauge
gatekeeper_spool_messages{instance="server_00",job="gatekeeper_server"} 1200
gatekeeper_spool_messages{instance="server_01",job="gatekeeper_server"} 0
push_time_seconds{instance="server_01",job="gatekeeper_server"} 1050
"""
    )
    assert spool(groups(page)) == SpoolBacklog(1200, 2.5e6)
    assert str(spool(groups(page))) == "1,200 transactions (2.5 MB) wait for Pub/Sub"
