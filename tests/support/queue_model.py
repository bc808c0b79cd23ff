"""A simulated queue with workers, sampled by the autoscaler's policy."""

import itertools
from collections import deque
from collections.abc import Callable

from ops.fleet.autoscale.policy import AutoscalePolicy, AutoscaleState, BacklogSample, decide

TICK_SECONDS = 5.0
STEP_SECONDS = 1.0
START_SECONDS = 3.0


def constant(rate: float) -> Callable[[float], float]:
    return lambda _now: rate


class QueueModel:
    """Fluid first-in, first-out: `rate` transactions a second and worker, those that start none.

    The policy gets samples that are `policy.late_seconds` old.
    """

    def __init__(self, policy: AutoscalePolicy, rate: float, workers: int) -> None:
        self.policy = policy
        self.rate = rate
        self.workers = workers
        self.now = 0.0
        self.numbers = [workers]
        """The number of workers at every change, the first at the start."""
        self.transactions = 0.0
        """How many wait."""
        self.oldest_ages: list[float] = []
        self._starting: list[float] = []
        self._waiting: deque[tuple[float, float]] = deque()  # since when, how many
        self._visible: deque[tuple[float, int, float]] = deque()
        self._state = AutoscaleState()

    @property
    def turns(self) -> int:
        """How often the number went the other way than the last time."""
        ups = [after > before for before, after in itertools.pairwise(self.numbers)]
        return sum(one != other for one, other in itertools.pairwise(ups))

    def run(self, seconds: float, arriving: Callable[[float], float]) -> None:
        """Let time pass; `arriving(now)` transactions come every second."""
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_SECONDS
            if count := arriving(self.now) * STEP_SECONDS:
                self._waiting.append((self.now, count))
                self.transactions += count
            self._work()
            if self.now % TICK_SECONDS == 0:
                self._tick()

    def _work(self) -> None:
        self._starting = [at for at in self._starting if at > self.now]
        room = self.rate * (self.workers - len(self._starting)) * STEP_SECONDS
        while self._waiting and room > 0:
            since, count = self._waiting.popleft()
            done = min(count, room)
            if count > done:
                self._waiting.appendleft((since, count - done))
            room -= done
            self.transactions -= done
        if not self._waiting:
            self.transactions = 0.0  # what rounding left over

    def _tick(self) -> None:
        age = self.now - self._waiting[0][0] if self._waiting else 0.0
        self.oldest_ages.append(age)
        self._visible.append((self.now, round(self.transactions), age))
        while self._visible[0][0] < self.now - self.policy.late_seconds:
            self._visible.popleft()
        at, transactions, seen_age = self._visible[0]
        if at > self.now - self.policy.late_seconds:
            return  # nothing is visible yet
        sample = BacklogSample(self.now, transactions, seen_age, self.workers)
        decision, self._state = decide(self.policy, self._state, sample)
        self._scale(decision.workers)

    def _scale(self, workers: int) -> None:
        if workers == self.workers:
            return
        self._starting += [self.now + START_SECONDS] * (workers - self.workers)
        self._starting = self._starting[:workers]
        self.workers = workers
        self.numbers.append(workers)
