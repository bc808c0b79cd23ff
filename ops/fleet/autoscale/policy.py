"""Decides how many workers there should be: up fast, down slowly, no flapping. Pure.

Up: when the oldest transaction is older than the target, or will be before a new worker could help.
The step is in proportion to the excess. No step up while the backlog shrinks fast enough, nor
until the workers of the last step have had time to show an effect.

Down: one worker at a time, only after the age was far below the target for a whole cool-down.
Between the two marks nothing changes (hysteresis). A step down that had to be reversed is not
tried again for two cool-downs, then four, and so on: a load that n workers can barely not carry
settles at n+1.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

HIGH_MARK = 0.5
"""Of the target: above it the age may call for more workers."""
LOW_MARK = 0.25
"""Of the target: below it there may be a worker too many."""
LARGEST_GROWTH = 4.0
"""The largest factor of one step up."""
START_SECONDS = 10.0
"""From a decision until a new worker has an effect on the figures."""
WINDOW_SECONDS = 30.0
"""The time over which the trend of the backlog is computed."""
COOL_DOWN_TARGETS = 2.0
"""A cool-down, in targets: 60 s for a target of 30 s."""
FAILED_WITHIN_COOL_DOWNS = 30.0
"""A step down has failed if more workers are needed within this many cool-downs."""
LONGEST_HOLD_SECONDS = 3600.0
"""After this time a failed step down may be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalePolicy:
    """The target age in seconds, and the least and the most workers.

    `late_seconds` is how old the figures may be: no decision is based on figures from before the
    last change.
    """

    target_seconds: float
    least: int
    most: int
    late_seconds: float = 0.0

    @property
    def settle_seconds(self) -> float:
        """From one step up to the next."""
        return START_SECONDS + self.late_seconds

    @property
    def cool_down_seconds(self) -> float:
        """How long the age must be low before a step down, and from one step to the next."""
        return COOL_DOWN_TARGETS * self.target_seconds + self.late_seconds


class BacklogSample(NamedTuple):
    """The backlog at a moment of a steady clock; `workers` is the number that is wanted now."""

    at: float
    transactions: int
    oldest_age_seconds: float
    workers: int


class ScaleDecision(NamedTuple):
    """How many workers there should be, and why."""

    workers: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscaleState:
    """What is kept between two samples; `AutoscaleState()` at the start."""

    samples: tuple[BacklogSample, ...] = ()
    """Those since the last change of the number, of the last `WINDOW_SECONDS`."""
    low_since: float | None = None
    changed_at: float = -math.inf
    direction: int = 0
    """Of the last change: 1, -1, or 0 when an operator made it."""
    insufficient_workers: int = 0
    """This number was too low after the last failed step down: not again before `retry_at`."""
    retry_at: float = -math.inf
    failed_scale_downs: int = 0

    def after_missed_sample(self) -> "AutoscaleState":
        """Return the state after a sample that failed: the age in the meantime is unknown."""
        return replace(self, low_since=None)


def decide(
    policy: AutoscalePolicy, state: AutoscaleState, sample: BacklogSample
) -> tuple[ScaleDecision, AutoscaleState]:
    """Return the number of workers there should be, and the state once the change is made.

    If the change fails, go on with the state that was passed in.
    """
    state = _with_sample(policy, state, sample)
    decision = (
        _within_bounds(policy, sample)
        or _up(policy, state, sample)
        or _down(policy, state, sample)
        or ScaleDecision(sample.workers, "nothing to change")
    )
    if decision.workers == sample.workers:
        return decision, state
    return decision, _changed(policy, state, sample, up=decision.workers > sample.workers)


def _with_sample(
    policy: AutoscalePolicy, state: AutoscaleState, sample: BacklogSample
) -> AutoscaleState:
    if state.samples and state.samples[-1].workers != sample.workers:  # an operator's `scale`
        state = replace(state, samples=(), low_since=None, changed_at=sample.at, direction=0)
    recent = tuple(each for each in state.samples if sample.at - each.at <= WINDOW_SECONDS)
    low = sample.oldest_age_seconds <= LOW_MARK * policy.target_seconds
    since = state.low_since if state.low_since is not None else sample.at
    return replace(state, samples=(*recent, sample), low_since=since if low else None)


def _changed(
    policy: AutoscalePolicy, state: AutoscaleState, sample: BacklogSample, *, up: bool
) -> AutoscaleState:
    if up and state.direction < 0:
        state = _after_step_down(policy, state, sample)
    return replace(state, samples=(), changed_at=sample.at, direction=1 if up else -1)


def _after_step_down(
    policy: AutoscalePolicy, state: AutoscaleState, sample: BacklogSample
) -> AutoscaleState:
    """Count a step down that failed; subtract one failure long after the last hold ended.

    Only one is subtracted: a load slightly too high for n workers makes a step down fail as rarely
    as bursts come, and would otherwise cause every step below n to be tried again each time.
    """
    cool_down = policy.cool_down_seconds
    if sample.at - state.changed_at > FAILED_WITHIN_COOL_DOWNS * cool_down:
        expired = sample.at - state.retry_at > LONGEST_HOLD_SECONDS
        return replace(state, failed_scale_downs=max(state.failed_scale_downs - expired, 0))
    failures = state.failed_scale_downs + 1
    hold = min(cool_down * 2.0 ** min(failures, 30), LONGEST_HOLD_SECONDS)
    return replace(
        state,
        insufficient_workers=sample.workers,
        retry_at=sample.at + hold,
        failed_scale_downs=failures,
    )


def _within_bounds(policy: AutoscalePolicy, sample: BacklogSample) -> ScaleDecision | None:
    if sample.workers < policy.least:
        return ScaleDecision(policy.least, f"fewer than AUTOSCALE_MIN ({policy.least})")
    if sample.workers > policy.most:
        return ScaleDecision(policy.most, f"more than AUTOSCALE_MAX ({policy.most})")
    return None


def _up(
    policy: AutoscalePolicy, state: AutoscaleState, sample: BacklogSample
) -> ScaleDecision | None:
    if state.direction >= 0 and sample.at - state.changed_at < policy.settle_seconds:
        return None
    high = HIGH_MARK * policy.target_seconds
    age, aging, shrinking = sample.oldest_age_seconds, *_trends(state.samples)
    expected = age + max(0.0, aging) * policy.settle_seconds
    if age <= high or expected <= policy.target_seconds:
        return None
    to_go = sample.transactions / shrinking if shrinking > 0 else math.inf
    if to_go <= policy.target_seconds:
        return None
    growth = min(age / high, to_go / policy.target_seconds, LARGEST_GROWTH)
    wanted = max(sample.workers + 1, math.ceil(sample.workers * growth))
    # More workers than transactions would have nothing to do.
    wanted = min(wanted, policy.most, max(sample.transactions, sample.workers))
    verb = "is" if age > policy.target_seconds else "soon will be"
    trend = f"shrinks too slowly, {to_go:.0f} s to go" if shrinking > 0 else "does not shrink"
    return ScaleDecision(
        wanted, f"the oldest {verb} over {policy.target_seconds:g} s old, and the backlog {trend}"
    )


def _trends(samples: tuple[BacklogSample, ...]) -> tuple[float, float]:
    """Return the age's growth and the backlog's shrinkage per second; 0 when unknown."""
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    if seconds <= 0:
        return 0.0, 0.0
    return (
        (last.oldest_age_seconds - first.oldest_age_seconds) / seconds,
        (first.transactions - last.transactions) / seconds,
    )


def _down(
    policy: AutoscalePolicy, state: AutoscaleState, sample: BacklogSample
) -> ScaleDecision | None:
    if sample.workers <= policy.least or state.low_since is None:
        return None
    if sample.at - max(state.low_since, state.changed_at) < policy.cool_down_seconds:
        return None
    wanted = sample.workers - 1
    if wanted <= state.insufficient_workers and sample.at < state.retry_at:
        return None
    return ScaleDecision(
        wanted,
        f"for {sample.at - state.low_since:.0f} s the oldest has been "
        f"under {LOW_MARK * policy.target_seconds:g} s old",
    )
