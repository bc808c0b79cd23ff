"""Reads what every process last pushed to the Pushgateway, one group for each process."""

import urllib.error
import urllib.request
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_SECONDS: Final = 3.0

_STARTED = "process_start_time_seconds"
_PUSHED = "push_time_seconds"
_MAX_PAGE_BYTES = 32_000_000

type Buckets = dict[float, float]
"""A histogram: upper bounds in seconds, rising to infinity, each with the count up to it."""


class LabelledValue(NamedTuple):
    """One sample of a metric; `labels` include the group's `job` and `instance`."""

    labels: dict[str, str]
    value: float


class PushedGroup(NamedTuple):
    """One process's metrics by the names of their samples, such as `..._total`, `..._bucket`."""

    job: str
    instance: str
    samples: dict[str, list[LabelledValue]]

    @property
    def started_at(self) -> float:
        """When the process started, in Unix seconds; 0 if it did not push that."""
        return self.total(_STARTED)

    @property
    def pushed_at(self) -> float:
        """When the process last pushed, in Unix seconds."""
        return self.total(_PUSHED)

    def total(self, name: str) -> float:
        """Return the sum over all label sets; 0 without any."""
        return sum(sample.value for sample in self.samples.get(name, ()))

    def buckets(self, name: str) -> Buckets:
        """Return a histogram by the name of its `..._bucket` samples; label sets are summed."""
        bounds = [{float(each.labels["le"]): each.value} for each in self.samples.get(name, ())]
        return add_buckets(bounds)


def read_pushed(
    gateway: str, names: Collection[str], timeout: float = TIMEOUT_SECONDS
) -> list[PushedGroup]:
    """Return the groups of the Pushgateway at `host:port`; raises OSError when it is unreachable.

    Only samples whose names begin with one of `names` are read.
    """
    try:
        with urllib.request.urlopen(f"http://{gateway}/metrics", timeout=timeout) as answer:
            return parse_pushed(answer.read(_MAX_PAGE_BYTES).decode(), names)
    except urllib.error.URLError as error:
        why = getattr(error.reason, "strerror", None) or error.reason
        raise ConnectionError(f"no answer at {gateway}: {why}") from error


def parse_pushed(page: str, names: Collection[str]) -> list[PushedGroup]:
    """Parse the Pushgateway's page of metrics.

    Groups of other jobs than `gatekeeper_...`, and groups without a push time, are left out.
    """
    # A process pushes hundreds of lines; parsing those that nobody reads would cost most.
    prefixes = (*names, _STARTED, _PUSHED)
    wanted = "".join(f"{line}\n" for line in page.splitlines() if line.startswith(prefixes))
    groups: dict[tuple[str, str], PushedGroup] = {}
    for family in text_string_to_metric_families(wanted):
        for sample in family.samples:
            key = (sample.labels.get("job", ""), sample.labels.get("instance", ""))
            if not key[0].startswith("gatekeeper_"):
                continue
            group = groups.setdefault(key, PushedGroup(*key, {}))
            value = LabelledValue(sample.labels, sample.value)
            group.samples.setdefault(sample.name, []).append(value)
    return [group for _, group in sorted(groups.items()) if _PUSHED in group.samples]


def add_buckets(histograms: Iterable[Buckets]) -> Buckets:
    """Add histograms up by their bounds."""
    counts: Buckets = {}
    for histogram in histograms:
        for bound, count in histogram.items():
            counts[bound] = counts.get(bound, 0.0) + count
    return dict(sorted(counts.items()))


def quantile(buckets: Buckets, share: float) -> float | None:
    """Estimate a quantile as Prometheus's histogram_quantile does; None if nothing was counted.

    Above the last finite bound the estimate is that bound.
    """
    *finite, (_, total) = buckets.items() or [(0.0, 0.0)]
    if total <= 0:
        return None
    rank = share * total
    low = below = 0.0
    for bound, count in finite:
        if count >= rank:
            return low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low
