"""A counter by a name that clients choose: the largest counts by name, all others as `other`.

No series ever falls: what was once counted as `other` stays there when a name becomes one of the
largest, and the name's own series starts with what comes after.
"""

import threading
from collections.abc import Iterator, Mapping
from heapq import nlargest
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

LARGEST: Final = 200
"""Names of one outcome in a process."""
MAX_NAMES: Final = 2_000
"""Names that are counted; beyond it the smaller half is forgotten."""
OTHER: Final = "other"
"""A name like any other is counted here too."""


class LargestCounts(Collector):
    """The counter `<name>_total`, with the label `label` and the label `outcome`."""

    def __init__(
        self,
        name: str,
        documentation: str,
        label: str,
        outcomes: tuple[str, ...],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self.label_names = (label, "outcome")
        self._counts = {outcome: _NamedCounts() for outcome in outcomes}
        registry.register(self)

    def add(self, outcome: str, name: str) -> None:
        """Count one; of one thread."""
        self._counts[outcome].add(name)

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self.label_names)
        for outcome, counts in self._counts.items():
            for name, count in counts.largest().items():
                family.add_metric([name, outcome], count)
        yield family


class _NamedCounts:
    """`add` is of one thread, `largest` of any."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._own: dict[str, int] = {}
        """By name, what was shown under it when it was last among the largest."""
        self._others: dict[str, int] = {}
        """By name, what was shown as `other`."""
        self._forgotten = 0
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        totals = self._totals
        if name in totals:
            totals[name] += 1
            return
        if len(totals) >= MAX_NAMES:
            self._forget()
        totals[name] = 1

    def _forget(self) -> None:
        with self._lock:
            for name in self._totals.keys() - _largest(self._totals, MAX_NAMES // 2):
                self._others.pop(name, None)
                self._forgotten += self._totals.pop(name) - self._own.pop(name, 0)

    def largest(self) -> dict[str, int]:
        with self._lock:
            totals = self._totals.copy()  # in one step, whatever is added meanwhile
            shown = _largest(totals, LARGEST) - {OTHER}
            for name, total in totals.items():
                if name in shown:
                    self._own[name] = total - self._others.get(name, 0)
                else:
                    self._others[name] = total - self._own.get(name, 0)
            counts = {name: self._own[name] for name in shown}
            if other := self._forgotten + sum(self._others.values()):
                counts[OTHER] = other
            return counts


def _largest(totals: Mapping[str, int], number: int) -> set[str]:
    return (
        set(nlargest(number, totals, key=totals.__getitem__))
        if len(totals) > number
        else set(totals)
    )
