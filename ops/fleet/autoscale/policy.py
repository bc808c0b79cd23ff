"""Decides how many workers there should be: up fast, down slowly, no flapping. Pure.

Up: when the oldest transaction is older than the target, or will be before a new worker could help;
by as much as it is too old, unless the backlog shrinks fast enough to be gone in time. Then nothing
more until the new workers show what they can do.

Down: one at a time, only after the age has been far below the target for a whole cool-down. Between
the two marks nothing is done (hysteresis). A step down that has to be taken back is not tried again
for two cool-downs, then four, and so on: a load at the edge of what n workers can do ends with n+1.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

HIGH_MARK = 0.5
"""Of the target: from here on the age may call for more workers."""
LOW_MARK = 0.25
"""Of the target: under it there may be a worker too many."""
LARGEST_GROWTH = 4.0
"""How many times as many workers one decision may ask for."""
START_SECONDS = 10.0
"""From a decision until a new worker shows in the figures."""
WINDOW_SECONDS = 30.0
"""The time over which the backlog's trend is taken."""
COOL_DOWN_TARGETS = 2.0
"""A cool-down, in targets: 60 s for a target of 30 s."""
RELAPSE_COOL_DOWNS = 30.0
"""When workers are called for so soon after a step down, that step was one too many."""
LONGEST_HOLD_SECONDS = 3600.0
"""After that a step that was one too many may always be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What to keep: ages in seconds, at least and at most so many workers.

    `late_seconds` is how old the figures may be: no decision is made on figures from before the
    last one.
    """

    target_seconds: float
    least: int
    most: int
    late_seconds: float = 0.0

    @property
    def settle_seconds(self) -> float:
        """From one decision for more to the next."""
        return START_SECONDS + self.late_seconds

    @property
    def cool_down_seconds(self) -> float:
        """How long the age must be low before a step down, and from one step to the next."""
        return COOL_DOWN_TARGETS * self.target_seconds + self.late_seconds


class Look(NamedTuple):
    """What is seen at a moment of a steady clock; `workers` is the number there is to be."""

    at: float
    transactions: int
    oldest_age_seconds: float
    workers: int


class Decision(NamedTuple):
    """How many workers there should be, and why."""

    workers: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is remembered between two looks; `State()` at the start."""

    looks: tuple[Look, ...] = ()
    """Those since the last change of the number, of the last `WINDOW_SECONDS`."""
    low_since: float | None = None
    changed_at: float = -math.inf
    direction: int = 0
    """Of the last change: 1, -1, or 0 when it was not made here."""
    too_few: int = 0
    """So many workers were not enough a while ago: not again before `retry_at`."""
    retry_at: float = -math.inf
    relapses: int = 0


def blind(state: State) -> State:
    """Return the state after a look that saw nothing: what the age was meanwhile is not known."""
    return replace(state, low_since=None)


def decide(policy: Policy, state: State, look: Look) -> tuple[Decision, State]:
    """Return the number of workers there should be, and the state once it has been made so.

    When it could not be made so, go on with the state that was given.
    """
    state = _seen(policy, state, look)
    decision = (
        _within_bounds(policy, look)
        or _up(policy, state, look)
        or _down(policy, state, look)
        or Decision(look.workers, "nothing to change")
    )
    if decision.workers == look.workers:
        return decision, state
    return decision, _changed(policy, state, look, decision)


def _seen(policy: Policy, state: State, look: Look) -> State:
    if state.looks and state.looks[-1].workers != look.workers:  # an operator's `scale`
        state = replace(state, looks=(), low_since=None, changed_at=look.at, direction=0)
    recent = tuple(each for each in state.looks if look.at - each.at <= WINDOW_SECONDS)
    low = look.oldest_age_seconds <= LOW_MARK * policy.target_seconds
    since = state.low_since if state.low_since is not None else look.at
    return replace(state, looks=(*recent, look), low_since=since if low else None)


def _changed(policy: Policy, state: State, look: Look, decision: Decision) -> State:
    up = decision.workers > look.workers
    if up and state.direction < 0:
        state = _judge_last_step(policy, state, look)
    return replace(state, looks=(), changed_at=look.at, direction=1 if up else -1)


def _judge_last_step(policy: Policy, state: State, look: Look) -> State:
    """Remember a step down that has to be taken back, and the others until long after their hold.

    One at a time is forgotten: a load just over the edge of n workers relapses as rarely as bursts
    come, and would try all of the steps below n again each time.
    """
    cool_down = policy.cool_down_seconds
    if look.at - state.changed_at > RELAPSE_COOL_DOWNS * cool_down:
        if look.at - state.retry_at > LONGEST_HOLD_SECONDS:
            return replace(state, relapses=max(state.relapses - 1, 0))
        return state
    relapses = state.relapses + 1
    hold = min(cool_down * 2.0 ** min(relapses, 30), LONGEST_HOLD_SECONDS)
    return replace(state, too_few=look.workers, retry_at=look.at + hold, relapses=relapses)


def _within_bounds(policy: Policy, look: Look) -> Decision | None:
    if look.workers < policy.least:
        return Decision(policy.least, f"fewer than AUTOSCALE_MIN ({policy.least})")
    if look.workers > policy.most:
        return Decision(policy.most, f"more than AUTOSCALE_MAX ({policy.most})")
    return None


def _up(policy: Policy, state: State, look: Look) -> Decision | None:
    if state.direction >= 0 and look.at - state.changed_at < policy.settle_seconds:
        return None
    high = HIGH_MARK * policy.target_seconds
    age, aging, shrinking = look.oldest_age_seconds, *_trends(state.looks)
    expected = age + max(0.0, aging) * policy.settle_seconds
    if age <= high or expected <= policy.target_seconds:
        return None
    to_go = look.transactions / shrinking if shrinking > 0 else math.inf
    if to_go <= policy.target_seconds:
        return None
    growth = min(age / high, to_go / policy.target_seconds, LARGEST_GROWTH)
    wanted = max(look.workers + 1, math.ceil(look.workers * growth))
    # A worker more than there are transactions has nothing to do.
    wanted = min(wanted, policy.most, max(look.transactions, look.workers))
    verb = "is" if age > policy.target_seconds else "soon will be"
    trend = f"shrinks too slowly, {to_go:.0f} s to go" if shrinking > 0 else "does not shrink"
    return Decision(
        wanted, f"the oldest {verb} over {policy.target_seconds:g} s old, and the backlog {trend}"
    )


def _trends(looks: tuple[Look, ...]) -> tuple[float, float]:
    """Return by how much a second the age grows, and the backlog shrinks; 0 when not known."""
    first, last = looks[0], looks[-1]
    seconds = last.at - first.at
    if seconds <= 0:
        return 0.0, 0.0
    return (
        (last.oldest_age_seconds - first.oldest_age_seconds) / seconds,
        (first.transactions - last.transactions) / seconds,
    )


def _down(policy: Policy, state: State, look: Look) -> Decision | None:
    cool_down = policy.cool_down_seconds
    if look.workers <= policy.least or state.low_since is None:
        return None
    if look.at - max(state.low_since, state.changed_at) < cool_down:
        return None
    wanted = look.workers - 1
    if wanted <= state.too_few and look.at < state.retry_at:
        return None
    return Decision(
        wanted,
        f"for {look.at - state.low_since:.0f} s the oldest has been "
        f"under {LOW_MARK * policy.target_seconds:g} s old",
    )
