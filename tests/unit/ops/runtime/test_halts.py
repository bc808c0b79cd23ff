from ops.runtime.halts import HALT_METRICS, halts
from ops.runtime.pushed_metrics import parse_pushed

NOW = 1_700_000_000
PAGE = """\
gatekeeper_halted{instance="worker_00",job="gatekeeper_worker"} 1
gatekeeper_halted{instance="worker_01",job="gatekeeper_worker"} 0
gatekeeper_halted{instance="worker_02",job="gatekeeper_worker"} 1
gatekeeper_halted{instance="worker_03",job="gatekeeper_worker"} 1
gatekeeper_halt_rejections{instance="worker_00",job="gatekeeper_worker",source="a",table="t",reason="table_missing"} 30
gatekeeper_halt_rejections{instance="worker_00",job="gatekeeper_worker",source="",table="u",reason="type_conflict"} 1000
push_time_seconds{instance="worker_00",job="gatekeeper_worker"} 1.699999990e+09
push_time_seconds{instance="worker_01",job="gatekeeper_worker"} 1.699999990e+09
push_time_seconds{instance="worker_02",job="gatekeeper_worker"} 1.699999990e+09
push_time_seconds{instance="worker_03",job="gatekeeper_worker"} 1.699990000e+09
"""  # noqa: E501  # the Pushgateway's own lines


def test_halted_workers_are_listed_with_source_table_reason_and_count() -> None:
    first, second = halts(parse_pushed(PAGE, HALT_METRICS), NOW)
    assert str(first) == (
        "worker_00 has halted: 1,000 of source (none) on table u: type_conflict; "
        "30 of source a on table t: table_missing"
    )
    assert str(second) == "worker_02 has halted: its log has the reason"


def test_a_worker_that_pushes_no_more_is_no_halt() -> None:
    assert [each.instance for each in halts(parse_pushed(PAGE, HALT_METRICS), NOW)] == [
        "worker_00",
        "worker_02",
    ]
