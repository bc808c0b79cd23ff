import pytest

from ops.runtime.pushed_metrics import LabelledValue, PushedGroup
from server.console.push_rates import PushRates

NOW = 1_700_000_000.0


def push(name: str, at: float, count: float, started: float = 0.0) -> PushedGroup:
    values = {
        "n": count,
        "process_start_time_seconds": NOW + started,
        "push_time_seconds": NOW + at,
    }
    samples = {key: [LabelledValue({}, value)] for key, value in values.items()}
    return PushedGroup("gatekeeper_worker", name, samples)


def make_rates(window: float = 0.0) -> PushRates[str]:
    return PushRates(lambda group: {"n": group.total("n")}, 17.0, window)


def total(rates: PushRates[str], *groups: PushedGroup, now: float = 0.0) -> float | None:
    rates.observe(groups, NOW + now)
    known = rates.total()
    return None if known is None else known["n"]


def test_a_rate_is_the_difference_between_two_pushes_and_stays_until_the_next() -> None:
    rates = make_rates()
    assert total(rates, push("a", 0, 100)) is None
    assert total(rates, push("a", 5, 150), now=5) == 10
    assert total(rates, push("a", 5, 150), now=9) == 10
    assert total(rates, push("a", 10, 150), now=10) == 0


def test_the_rate_of_a_fleet_is_the_sum_of_those_that_are_known() -> None:
    rates = make_rates()
    total(rates, push("a", 0, 100), push("b", 0, 0))
    found = total(rates, push("a", 5, 150), push("b", 5, 5), push("new", 5, 7_000), now=5)
    assert found == 11
    assert rates.of("a") == {"n": 10}
    assert rates.of("new") is None
    assert rates.of("unknown") is None


@pytest.mark.parametrize("started", [7.0, 0.0])
def test_a_counter_that_begins_again_gives_no_negative_rate(started: float) -> None:
    rates = make_rates()
    total(rates, push("a", 0, 1_000))
    assert total(rates, push("a", 5, 1_100), now=5) == 20
    restarted = total(rates, push("a", 10, 3, started), now=10)
    assert restarted is None if started else restarted == 0
    assert total(rates, push("a", 15, 13, started), now=15) == 2


def test_a_process_that_is_silent_or_gone_has_no_rate() -> None:
    rates = make_rates()
    total(rates, push("a", 0, 0), push("b", 0, 0))
    assert total(rates, push("a", 5, 50), push("b", 20, 40), now=21.9) == 12
    assert total(rates, push("a", 5, 50), push("b", 25, 50), now=25) == 2
    assert total(rates, push("b", 30, 60), now=30) == 2
    assert rates.of("a") is None
    assert total(rates, now=31) is None


def test_a_window_takes_the_pushes_of_its_seconds() -> None:
    rates = make_rates(window=10)
    counts = [0, 50, 50, 50, 50]
    found = [total(rates, push("a", 5 * n, count), now=5 * n) for n, count in enumerate(counts)]
    assert found == [None, 10, 5, 0, 0]
