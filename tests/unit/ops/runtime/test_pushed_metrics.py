import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.runtime.pushed_metrics import (
    LabelledValue,
    add_buckets,
    parse_pushed,
    quantile,
    read_pushed,
)
from ops.runtime.settings import Settings

END_TO_END = "gatekeeper_end_to_end_seconds_bucket"
NAMES = ("gatekeeper_applied_total", "gatekeeper_dead_lettered_total", END_TO_END)

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
    first, second = parse_pushed(PAGE, NAMES)
    assert (first.job, first.instance) == ("gatekeeper_worker", "worker_00")
    assert first.total("gatekeeper_applied_total") == 12
    assert first.total("gatekeeper_dead_lettered_total") == 3, "the label sets are summed"
    assert first.total("gatekeeper_published_total") == 0
    assert (first.started_at, first.pushed_at) == (1_700_000_000, 1_700_000_010)
    assert first.buckets(END_TO_END) == {0.1: 1, 0.5: 4, math.inf: 12}
    assert list(first.buckets(END_TO_END)) == [0.1, 0.5, math.inf], "rising"
    assert (second.instance, second.total("gatekeeper_applied_total")) == ("worker_01", 3)
    assert (second.started_at, second.buckets(END_TO_END)) == (0, {})


def test_the_label_sets_of_a_metric_are_kept() -> None:
    first, *_ = parse_pushed(PAGE, NAMES)
    reasons = {
        sample.labels["reason"]: sample.value
        for sample in first.samples["gatekeeper_dead_lettered_total"]
    }
    assert reasons == {"too_large": 1, "too_old": 2}


def test_only_the_wanted_metrics_are_parsed() -> None:
    first, *_ = parse_pushed(PAGE, ["gatekeeper_applied"])
    assert set(first.samples) == {
        "gatekeeper_applied_total",
        "process_start_time_seconds",
        "push_time_seconds",
    }


def test_a_group_without_a_push_time_is_left_out() -> None:
    assert parse_pushed('applied{instance="a",job="gatekeeper_worker"} 1\n', ["applied"]) == []
    assert parse_pushed("", NAMES) == []


def test_a_hostile_name_is_a_name() -> None:
    page = 'push_time_seconds{instance="<b>\\"\\\\",job="gatekeeper_worker"} 1\n'
    assert parse_pushed(page, NAMES)[0].instance == '<b>"\\'


def test_an_unreachable_pushgateway_is_named_in_the_error() -> None:
    settings = Settings.parse({"PUSHGATEWAY_PROMETHEUS_HOST": "127.0.0.1:1"})
    with pytest.raises(ConnectionError, match=r"no answer at 127\.0\.0\.1:1: Connection refused"):
        read_pushed(settings, NAMES)


def test_histograms_add_up_by_their_bounds() -> None:
    one, other = {0.1: 1.0, math.inf: 2.0}, {0.1: 3.0, math.inf: 3.0}
    assert add_buckets([one, other, {}]) == {0.1: 4.0, math.inf: 5.0}
    assert add_buckets([]) == {}


def test_a_quantile_lies_in_its_bucket_in_proportion() -> None:
    buckets = {1.0: 10.0, 2.0: 30.0, math.inf: 40.0}
    assert quantile(buckets, 0.25) == 1.0
    assert quantile(buckets, 0.5) == 1.5
    assert quantile(buckets, 0.99) == 2.0, "above the last finite bound it is that bound"


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({1.0: 0.0, math.inf: 0.0}, 0.5) is None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.floats(0.01, 1))
def test_a_quantile_never_leaves_the_bounds(counts: list[int], share: float) -> None:
    running, buckets = 0.0, dict[float, float]()
    for bound, count in enumerate([*counts, 1], 1):
        running += count
        buckets[float(bound)] = running
    buckets[math.inf] = running
    found = quantile(buckets, share)
    assert found is not None
    assert 0 <= found <= len(counts) + 1


PUSHED = 'push_time_seconds{instance="a",job="gatekeeper_worker"} 5\n'
APPLIED = 'gatekeeper_applied_total{instance="a",job="gatekeeper_worker"} 3\n'


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "-1e300", "1e300", "9" * 5000, "x"])
def test_a_value_that_is_no_count_is_left_out(value: str) -> None:
    (group,) = parse_pushed(PUSHED + APPLIED + APPLIED.replace("} 3", "} " + value), NAMES)
    assert group.total("gatekeeper_applied_total") == 3


@pytest.mark.parametrize(
    "labels",
    [
        'instance="[/x]\x1b[2J",job="gatekeeper_worker"',
        'instance="\\n",job="gatekeeper_worker"',
        f'instance="{"x" * 3000}",job="gatekeeper_worker"',
        'job="gatekeeper_worker"',
        'instance="a",job="gatekeeper_worker",team="of another grouping"',
    ],
)
def test_a_group_that_no_process_has_is_left_out(labels: str) -> None:
    assert parse_pushed(f"push_time_seconds{{{labels}}} 9\n", NAMES) == []
    (group,) = parse_pushed(f"{PUSHED}push_time_seconds{{{labels}}} 9\n", NAMES)
    assert group.pushed_at == 5


@pytest.mark.parametrize("bound", ['le="NaN",', 'le="-Inf",', 'le="-1",', 'le="x",', ""])
def test_a_bucket_without_a_proper_bound_is_left_out(bound: str) -> None:
    bucket = f'{END_TO_END}{{{bound}instance="a",job="gatekeeper_worker"}} 1\n'
    assert parse_pushed(PUSHED + bucket, NAMES)[0].buckets(END_TO_END) == {}


def test_of_too_many_groups_the_latest_are_kept() -> None:
    line = 'push_time_seconds{instance="%04d",job="gatekeeper_worker"} %d\n'
    groups = parse_pushed("".join(line % (number, number) for number in range(1, 1102)), NAMES)
    assert [groups[0].instance, groups[-1].instance] == ["0102", "1101"]


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


LABEL_VALUES = st.text(max_size=20) | st.sampled_from(
    ["[/x]", '"} 5', "\\", "a\u2028b", "\x85", ","]
)


@given(LABEL_VALUES, LABEL_VALUES, st.floats() | st.integers(0, 2**60))
def test_whatever_is_pushed_the_groups_are_printable_and_their_sums_finite(
    instance: str, reason: str, value: float
) -> None:
    group = f'instance="{escaped(instance)}",job="gatekeeper_worker"'
    page = (
        f"push_time_seconds{{{group}}} 1\n"
        f'{NAMES[1]}{{{group},reason="{escaped(reason)}"}} {value}\n'
        f'{END_TO_END}{{{group},le="{escaped(reason)}"}} {value}\n'
    )
    groups = parse_pushed(page + PAGE, NAMES)
    assert {"worker_00", "worker_01"} <= {each.instance for each in groups}
    for each in groups:
        assert each.instance.isprintable()
        assert math.isfinite(each.total(NAMES[1]))
        assert math.isfinite(quantile(each.buckets(END_TO_END), 0.99) or 0)
    if instance.isprintable() and reason.isprintable() and 0 <= value <= 2**53:
        (own,) = [each for each in groups if each.instance == instance]
        labels = {"instance": instance, "job": "gatekeeper_worker", "reason": reason}
        assert own.samples[NAMES[1]] == [LabelledValue(labels, value)]


@given(st.lists(st.sampled_from([*PAGE.splitlines(), "gatekeeper_applied_total{", '"', "\0"])))
def test_any_page_is_parsed(lines: list[str]) -> None:
    for separator in ("\n", "\r\n", ""):
        parse_pushed(separator.join(lines), NAMES)
