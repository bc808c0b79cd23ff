"""Rates of what each process counts, from the differences between its pushes."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, NamedTuple

from ops.runtime.pushed_metrics import PushedGroup

_TWO: Final = 2  # pushes make a difference


class _Push[K](NamedTuple):
    """`at` and `started_at` are Unix seconds; `counts` only rise while the process lives."""

    at: float
    started_at: float
    counts: Mapping[K, float]


class PushRates[K: Hashable]:
    """Rates per second over the pushes of the last `window` seconds, and over two at least.

    A process has none before its second push: one that has restarted begins again, so its counters,
    which begin at 0, are never subtracted from those before. A process whose last push is older
    than `stale_after` seconds has none either.
    """

    def __init__(
        self,
        counts: Callable[[PushedGroup], Mapping[K, float]],
        stale_after: float,
        window: float = 0.0,
    ) -> None:
        self._counts = counts
        self._stale_after = stale_after
        self._window = window
        self._pushes: dict[str, deque[_Push[K]]] = {}
        self._now = 0.0

    def observe(self, groups: Iterable[PushedGroup], now: float) -> None:
        """Take what all processes pushed last; a process that is not among them is forgotten."""
        self._now = now
        self._pushes = {group.instance: self._with(group) for group in groups}

    def _with(self, group: PushedGroup) -> deque[_Push[K]]:
        pushes = self._pushes.get(group.instance, deque())
        if pushes and pushes[-1].started_at != group.started_at:
            pushes = deque()
        if not pushes or group.pushed_at > pushes[-1].at:
            pushes.append(_Push(group.pushed_at, group.started_at, self._counts(group)))
            while len(pushes) > _TWO and self._is_old(pushes):
                pushes.popleft()
        return pushes

    def _is_old(self, pushes: deque[_Push[K]]) -> bool:
        return pushes[-1].at - pushes[1].at >= self._window

    def of(self, instance: str) -> dict[K, float] | None:
        """Return a process's rates; None while they are unknown."""
        pushes = self._pushes.get(instance)
        if pushes is None or len(pushes) < _TWO or self._now - pushes[-1].at > self._stale_after:
            return None
        first, last = pushes[0], pushes[-1]
        seconds = last.at - first.at
        return {
            key: max(0.0, count - first.counts.get(key, 0.0)) / seconds
            for key, count in last.counts.items()
        }

    def total(self) -> dict[K, float] | None:
        """Return the sums over all processes; None while no rate is known."""
        known = [rates for name in self._pushes if (rates := self.of(name)) is not None]
        if not known:
            return None
        sums: dict[K, float] = {}
        for rates in known:
            for key, rate in rates.items():
                sums[key] = sums.get(key, 0.0) + rate
        return sums
