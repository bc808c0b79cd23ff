"""How many transactions each table and each source has per second: the largest, and the rest."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ops.runtime.largest_counts import OTHER
from ops.runtime.pushed_metrics import PushedGroup, stale_seconds
from ops.runtime.settings import Settings
from server.console.push_rates import PushRates

LABELS: Final = {
    "gatekeeper_table_transactions_total": "table",
    "gatekeeper_source_transactions_total": "source",
}
"""The metrics, and the label that has the name."""

LARGEST: Final = 10
OUTCOMES: Final = ("accepted", "applied", "rejected")

type NamedCount = tuple[str, str, str]
"""`table` or `source`, its name, an outcome."""


class LargestRates:
    """Fed with what all processes pushed last, again and again."""

    def __init__(self, settings: Settings) -> None:
        self._rates = PushRates(_counts, stale_seconds(settings))

    def observe(self, groups: Sequence[PushedGroup], now: float) -> None:
        """`now` is in Unix seconds."""
        self._rates.observe(groups, now)

    def of(self, kind: str) -> dict[str, Any] | None:
        """Return the rates of tables or sources: see `largest`; None while they are unknown."""
        rates = self._rates.total()
        if rates is None:
            return None
        named: dict[str, dict[str, float]] = {}
        for (label, name, outcome), rate in rates.items():
            if label == kind and rate and outcome in OUTCOMES:
                named.setdefault(name, dict.fromkeys(OUTCOMES, 0.0))[outcome] = rate
        return largest(named)


def _counts(group: PushedGroup) -> dict[NamedCount, float]:
    return {
        (label, sample.labels.get(label, ""), sample.labels.get("outcome", "")): sample.value
        for metric, label in LABELS.items()
        for sample in group.samples.get(metric, ())
    }


def largest(named: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return `rows`, the LARGEST by the sum of their rates, and `others`, the sum of the rest.

    `others` is None where there is no rest. The processes' own rest is part of it.
    """
    order = sorted(named, key=lambda name: (name == OTHER, -sum(named[name].values()), name))
    shown = [name for name in order[:LARGEST] if name != OTHER]
    rest = [named[name] for name in order[len(shown) :]]
    return {
        "rows": [{"name": name, **named[name]} for name in shown],
        "others": {outcome: sum(each[outcome] for each in rest) for outcome in OUTCOMES}
        if rest
        else None,
    }
