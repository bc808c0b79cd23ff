"""Reads what every process last pushed to the Pushgateway, one group for each process.

Without a Pushgateway these are the processes of this machine, by their files. Any program on the
network can push to it. What no process of Gatekeeper would push is left out, so
that sums are finite and every text is short and printable.
"""

import math
import re
import urllib.error
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from ops.runtime import direct_http
from ops.runtime.metrics_files import PUSHED_AT, read_page
from ops.runtime.settings import Settings

TIMEOUT_SECONDS: Final = 3.0

_STARTED = "process_start_time_seconds"
_MISSED_PUSHES = 3
_GRACE_SECONDS = 2.0
_MAX_PAGE_BYTES = 32_000_000
_MAX_VALUE = 2.0**53
"""Above it a count is no longer exact; the sum of all values on a page is finite."""
_MAX_LINE = 2_000
_MAX_GROUPS = 1_000
"""Only those that pushed last are kept: the console answers them all."""

# https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"', re.ASCII)
_LINE = re.compile(r'(\w+)\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\} (\S+)', re.ASCII)
_ESCAPE = re.compile(r"\\(.)")

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
    def machine(self) -> str:
        """The INSTANCE of the process's machine; "" for a name that has none."""
        return self.instance.rpartition(":")[0]

    @property
    def started_at(self) -> float:
        """When the process started, in Unix seconds; 0 if it did not push that."""
        return self.total(_STARTED)

    @property
    def pushed_at(self) -> float:
        """When the process last pushed, in Unix seconds."""
        return self.total(PUSHED_AT)

    def total(self, name: str) -> float:
        """Return the sum over all label sets; 0 without any."""
        return sum(sample.value for sample in self.samples.get(name, ()))

    def buckets(self, name: str) -> Buckets:
        """Return a histogram by the name of its `..._bucket` samples; label sets are summed."""
        return add_buckets({_bound(each): each.value} for each in self.samples.get(name, ()))


def stale_seconds(settings: Settings) -> float:
    """Return the age from which a group's process counts as silent: some missed pushes."""
    return _MISSED_PUSHES * settings.metrics_push_seconds + _GRACE_SECONDS


def read_pushed(
    settings: Settings, names: Collection[str], timeout: float = TIMEOUT_SECONDS
) -> list[PushedGroup]:
    """Return the groups of the Pushgateway; raises OSError when it is unreachable.

    Only samples whose names begin with one of `names` are read.
    """
    gateway = settings.pushgateway_prometheus_host
    if gateway is None:
        return parse_pushed(read_page(settings), names)
    try:
        with direct_http.open_url(f"http://{gateway}/metrics", timeout) as answer:
            return parse_pushed(answer.read(_MAX_PAGE_BYTES).decode(errors="replace"), names)
    except urllib.error.URLError as error:
        why = getattr(error.reason, "strerror", None) or error.reason
        raise ConnectionError(f"no answer at {gateway}: {why}") from error


def parse_pushed(page: str, names: Collection[str]) -> list[PushedGroup]:
    """Parse the Pushgateway's page of metrics.

    Groups of other jobs than `gatekeeper_...`, and groups without a push time, are left out.
    """
    prefixes = (*names, _STARTED, PUSHED_AT)
    groups: dict[tuple[str, str], PushedGroup] = {}
    for line in page.split("\n"):
        if not line.startswith(prefixes) or (sample := _parse_line(line)) is None:
            continue
        name, value = sample
        key = (value.labels["job"], value.labels["instance"])
        groups.setdefault(key, PushedGroup(*key, {})).samples.setdefault(name, []).append(value)
    pushed = [group for group in groups.values() if PUSHED_AT in group.samples]
    newest = sorted(pushed, key=lambda group: group.pushed_at)[-_MAX_GROUPS:]
    return sorted(newest, key=lambda group: (group.job, group.instance))


def _parse_line(line: str) -> tuple[str, LabelledValue] | None:
    """Return a sample's name and value; None for a line that Gatekeeper does not push."""
    if len(line) > _MAX_LINE or not (parts := _LINE.fullmatch(line)):
        return None
    name, labels, text = parts.groups()
    pairs = {key: _ESCAPE.sub(_unescape, value) for key, value in _LABEL.findall(labels)}
    sample = LabelledValue(pairs, _number(text))
    return (name, sample) if _plausible(name, sample) else None


def _plausible(name: str, sample: LabelledValue) -> bool:
    labels = sample.labels
    return (
        labels.get("job", "").startswith("gatekeeper_")
        and "instance" in labels
        and all(map(str.isprintable, labels.values()))
        and 0 <= sample.value <= _MAX_VALUE  # not NaN either
        # A push's time has the labels of its group: those of a foreign one are others.
        and (name not in {_STARTED, PUSHED_AT} or len(labels) == len(("job", "instance")))
        and (not name.endswith("_bucket") or _bound(sample) >= 0)
    )


def _unescape(escape: re.Match[str]) -> str:
    return {"n": "\n"}.get(escape[1], escape[1])


def _bound(sample: LabelledValue) -> float:
    """Return a bucket's upper bound, in seconds; NaN if it has none."""
    return _number(sample.labels.get("le", ""))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


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
