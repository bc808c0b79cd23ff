import math
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ops.fleet.autoscale.policy import (
    LOW_MARK,
    AutoscalePolicy,
    AutoscaleState,
    BacklogSample,
    ScaleDecision,
    decide,
)
from tests.support.queue_model import QueueModel, constant

POLICY = AutoscalePolicy(target_seconds=30, least=1, most=8)
policies = st.builds(
    lambda target, least, more, late: AutoscalePolicy(
        target_seconds=target, least=least, most=least + more, late_seconds=late
    ),
    target=st.sampled_from([5.0, 30.0, 120.0]),
    least=st.integers(1, 3),
    more=st.integers(0, 8),
    late=st.sampled_from([0.0, 180.0]),
)


def after(
    *samples: BacklogSample, policy: AutoscalePolicy = POLICY, state: AutoscaleState | None = None
) -> ScaleDecision:
    """Return the last decision; each sample follows the one before as if it had been done."""
    state = state or AutoscaleState()
    for sample in samples:
        decision, state = decide(policy, state, sample)
    return decision


def looking(seconds: float, age: float, workers: int, start: float = 0.0) -> list[BacklogSample]:
    return [BacklogSample(start + at, 1000, age, workers) for at in range(0, int(seconds) + 1, 5)]


# Up


@pytest.mark.parametrize(("age", "wanted"), [(31, 5), (45, 6), (60, 8), (3000, 8)])
def test_an_older_transaction_adds_more_workers(age: float, wanted: int) -> None:
    assert after(BacklogSample(0, 10_000, age, 2)).workers == min(wanted, POLICY.most)


def test_a_young_backlog_of_any_size_adds_no_worker() -> None:
    assert after(BacklogSample(0, 1_000_000, 10, 1)).workers == 1


def test_workers_come_before_the_target_is_missed_where_the_age_grows_towards_it() -> None:
    aging = [BacklogSample(at, 5_000, at + 12, 1) for at in (0, 5, 10)]
    assert after(*aging[:2]).workers == 1
    assert after(*aging).workers == 2


def test_a_backlog_that_will_be_gone_in_time_adds_no_worker() -> None:
    assert (
        after(BacklogSample(0, 2000, 40, 2), state=settled(BacklogSample(-5, 2500, 40, 2))).workers
        == 2
    )


def test_a_backlog_that_shrinks_too_slowly_calls_for_as_many_as_would_do() -> None:
    decision = after(BacklogSample(0, 5800, 55, 2), state=settled(BacklogSample(-5, 6300, 50, 2)))
    assert decision.workers == math.ceil(2 * (5800 / 100) / 30)
    assert "shrinks too slowly, 58 s to go" in decision.reason


def settled(sample: BacklogSample) -> AutoscaleState:
    return AutoscaleState(samples=(sample,), changed_at=-100)


def test_the_next_workers_wait_until_the_last_could_show_what_they_do() -> None:
    first, state = decide(POLICY, AutoscaleState(), BacklogSample(0, 10_000, 40, 1))
    assert first.workers == 3
    assert after(BacklogSample(5, 10_000, 45, 3), state=state).workers == 3
    assert after(BacklogSample(10, 10_000, 50, 3), state=state).workers == 8


def test_no_more_workers_come_than_there_are_transactions() -> None:
    assert after(BacklogSample(0, 3, 4000, 2)).workers == 3
    assert after(BacklogSample(0, 1, 4000, 2)).workers == 2


# Down


def test_one_worker_leaves_in_each_cool_down_of_low_age() -> None:
    state, workers, left = AutoscaleState(), 4, []
    for at in range(0, 400, 5):
        decision, state = decide(POLICY, state, BacklogSample(at, 0, 0.0, workers))
        if decision.workers != workers:
            left.append(at)
        assert workers - decision.workers in {0, 1}
        workers = decision.workers
    assert left == [60, 120, 180]


def test_an_age_between_the_marks_changes_nothing() -> None:
    age = LOW_MARK * POLICY.target_seconds + 1
    assert after(*looking(3600, age, 4)).workers == 4


def test_one_old_transaction_restarts_the_cool_down() -> None:
    samples = looking(100, 1.0, 4)
    samples[10] = samples[10]._replace(oldest_age_seconds=14.0)
    assert after(*samples).workers == 4


def test_a_time_without_samples_is_no_time_of_low_age() -> None:
    state = AutoscaleState()
    for sample in looking(55, 0.0, 4):
        _, state = decide(POLICY, state, sample)
    state = state.after_missed_sample()
    assert after(BacklogSample(70, 0, 0.0, 4), state=state).workers == 4


# Bounds, and others who scale


def test_a_number_out_of_bounds_is_corrected_immediately() -> None:
    assert after(BacklogSample(0, 0, 0.0, 12)) == (8, "more than AUTOSCALE_MAX (8)")
    policy = replace(POLICY, least=3)
    assert after(BacklogSample(0, 0, 0.0, 1), policy=policy) == (3, "fewer than AUTOSCALE_MIN (3)")


def test_workers_that_an_operator_adds_stay_for_a_cool_down() -> None:
    state = AutoscaleState()
    for sample in looking(300, 0.0, 1):
        _, state = decide(POLICY, state, sample)
    assert after(*looking(55, 0.0, 6, start=305), state=state).workers == 6
    assert after(*looking(60, 0.0, 6, start=305), state=state).workers == 5


# Over time


@settings(max_examples=50, deadline=None)
@given(
    policy=policies,
    rate=st.floats(5, 200),
    length=st.floats(0.01, 1),
    share=st.floats(0.1, 30),
)
def test_a_burst_turns_the_number_once_at_most_and_it_ends_at_the_minimum(
    policy: AutoscalePolicy, rate: float, length: float, share: float
) -> None:
    model = QueueModel(policy, rate, policy.least)
    # What lasts longer than a cool-down is not a burst but a load.
    model.run(length * policy.cool_down_seconds, lambda _: rate * share)
    drained = model.transactions / rate / policy.least
    back = (policy.most + 3) * (policy.cool_down_seconds + 10) + policy.late_seconds
    model.run(drained + back, lambda _: 0.0)
    assert all(policy.least <= number <= policy.most for number in model.numbers)
    assert model.turns <= 1
    assert model.workers == policy.least
    assert model.transactions == 0


@settings(max_examples=15, deadline=None)
@given(rate=st.floats(10, 100), share=st.floats(0.3, 7.9), late=st.sampled_from([0.0, 180.0]))
@example(rate=10.0, share=4.0625, late=0.0)  # hardly too much for 4, far too much for 3
@example(rate=10.0, share=7.1, late=0.0)
def test_a_steady_load_is_held_under_the_target_without_flapping(
    rate: float, share: float, late: float
) -> None:
    policy = replace(POLICY, late_seconds=late)
    model = QueueModel(policy, rate, 1)
    model.run(2 * 3600, lambda _: rate * share)
    model.numbers, model.oldest_ages = [model.workers], []
    model.run(2 * 3600, lambda _: rate * share)
    assert model.turns <= 12, "a step that was one too many is tried ever more rarely"
    if not late and share < 7.5:
        in_time = sum(age <= policy.target_seconds for age in model.oldest_ages)
        assert in_time >= 0.98 * len(model.oldest_ages)


@settings(max_examples=10, deadline=None)
@given(share=st.floats(0.1, 0.9), bursts=st.lists(st.floats(2, 12), min_size=1, max_size=4))
def test_bursts_over_a_small_load_turn_the_number_twice_each_at_most(
    share: float, bursts: list[float]
) -> None:
    model = QueueModel(POLICY, 50.0, 1)
    for burst in bursts:
        model.run(120, constant(50.0 * burst))
        model.run(3600, constant(50.0 * share))
        assert model.workers == 1
    assert model.turns <= 2 * len(bursts) - 1
    assert max(model.numbers) <= POLICY.most


def test_a_backlog_that_more_workers_could_not_keep_up_with_stays_at_the_maximum() -> None:
    model = QueueModel(POLICY, 10.0, 1)
    model.run(3600, lambda _: 100.0)
    assert model.workers == POLICY.most
    assert model.turns == 0
