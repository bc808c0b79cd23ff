"""The rates of the whole fleet and of each process, and how long transactions take now."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from ops.runtime.backlog import SubscriptionBacklog
from ops.runtime.pushed_metrics import PushedGroup, quantile, stale_seconds
from ops.runtime.settings import Settings
from server.console.push_rates import PushRates

COUNTERS: Final = {
    "accepted": "gatekeeper_published_total",
    "rejected": "invalid_payload_count_total",
    "applied": "gatekeeper_applied_total",
    "dead_lettered": "gatekeeper_dead_lettered_total",
    "unavailable": "gatekeeper_publish_failures_total",
}
"""The page's name of each counter, and the metric that it is read from."""

END_TO_END: Final = "gatekeeper_end_to_end_seconds_bucket"

RECENT_SECONDS: Final = 60.0
"""The quantiles are of the transactions that were settled in the last minute."""


def counts(group: PushedGroup) -> dict[str, float]:
    """Return the counters of a process by the page's names."""
    return {word: group.total(name) for word, name in COUNTERS.items()}


class FleetRates:
    """Fed with what all processes pushed last, again and again."""

    def __init__(self, settings: Settings) -> None:
        stale_after = stale_seconds(settings)
        self._counts = PushRates(counts, stale_after)
        self._settled = PushRates(
            lambda group: group.buckets(END_TO_END), stale_after, RECENT_SECONDS
        )

    def observe(self, groups: Sequence[PushedGroup], now: float) -> None:
        """`now` is in Unix seconds."""
        self._counts.observe(groups, now)
        self._settled.observe(groups, now)

    def of(self, instance: str) -> dict[str, float] | None:
        """Return a process's rates per second by the page's names; None while unknown."""
        return self._counts.of(instance)

    def total(self) -> dict[str, float] | None:
        return self._counts.total()

    def recent(self) -> dict[str, float | None]:
        """Return the quantiles in seconds; None if nothing was settled in the last minute."""
        buckets = dict(sorted((self._settled.total() or {}).items()))
        finite = buckets if math.inf in buckets else {}
        return {"p50": quantile(finite, 0.5), "p99": quantile(finite, 0.99)}


def chart_point(
    rates: FleetRates,
    groups: Sequence[PushedGroup] | None,
    backlog: SubscriptionBacklog | None,
) -> Mapping[str, float | None]:
    """Return a point of the history; None, or a missing value, is unknown."""
    waiting = (
        {"backlog": backlog.unacked, "oldest_seconds": backlog.oldest_age_seconds}
        if backlog
        else {}
    )
    if groups is None:
        return waiting
    return {**(rates.total() or {}), **rates.recent(), **waiting}
