"""What every process last pushed, by its own group on the Pushgateway."""

import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_SECONDS: Final = 3.0

# The page's word for it → the counter (or the spool's gauge); its label sets are summed.
COUNTERS: Final = {
    "accepted": "gatekeeper_published_total",
    "rejected": "invalid_payload_count_total",
    "applied": "gatekeeper_applied_total",
    "dead_lettered": "gatekeeper_dead_lettered_total",
    "spooled": "gatekeeper_spool_messages",
}
END_TO_END: Final = "gatekeeper_end_to_end_seconds_bucket"

_WORDS = {name: word for word, name in COUNTERS.items()}
_STARTED = "process_start_time_seconds"
_PUSHED = "push_time_seconds"
_WANTED = (*_WORDS, END_TO_END, _STARTED, _PUSHED)
_MAX_PAGE_BYTES = 32_000_000

type Buckets = list[tuple[float, float]]
"""A histogram: upper bounds in seconds, rising to infinity, each with the count up to it."""


class Pushed(NamedTuple):
    """One process's group: its totals since `started_at`, both times Unix seconds."""

    job: str
    name: str
    started_at: float
    pushed_at: float
    totals: dict[str, float]
    """By the words of `COUNTERS`; all of them, whatever the process's job."""
    end_to_end: Buckets


def read(gateway: str) -> list[Pushed]:
    """Return every process's group; raises OSError when the Pushgateway is away."""
    try:
        with urllib.request.urlopen(  # the scheme is ours
            f"http://{gateway}/metrics", timeout=TIMEOUT_SECONDS
        ) as answer:
            return parse(answer.read(_MAX_PAGE_BYTES).decode())
    except urllib.error.URLError as error:
        why = getattr(error.reason, "strerror", None) or error.reason
        raise ConnectionError(f"no answer at {gateway}: {why}") from error


def parse(text: str) -> list[Pushed]:
    """Read the Pushgateway's page of metrics; groups without a push time are nobody's."""
    totals: dict[tuple[str, str], dict[str, float]] = {}
    times: dict[str, dict[tuple[str, str], float]] = {_STARTED: {}, _PUSHED: {}}
    buckets: dict[tuple[str, str], Buckets] = {}
    # Of the hundreds of lines that a process pushes a few are wanted; parsing is what costs.
    wanted = "".join(f"{line}\n" for line in text.splitlines() if line.startswith(_WANTED))
    for family in text_string_to_metric_families(wanted):
        for sample in family.samples:
            key = (sample.labels.get("job", ""), sample.labels.get("instance", ""))
            if not key[0].startswith("gatekeeper_"):
                continue
            if sample.name in _WORDS:
                of = totals.setdefault(key, dict.fromkeys(COUNTERS, 0.0))
                of[_WORDS[sample.name]] += sample.value
            elif sample.name == END_TO_END:
                bucket = float(sample.labels["le"]), sample.value
                buckets.setdefault(key, []).append(bucket)
            elif sample.name in times:
                times[sample.name][key] = sample.value
    return [
        Pushed(
            *key,
            started_at=times[_STARTED].get(key, 0.0),
            pushed_at=pushed_at,
            totals=totals.get(key, dict.fromkeys(COUNTERS, 0.0)),
            end_to_end=sorted(buckets.get(key, [])),
        )
        for key, pushed_at in sorted(times[_PUSHED].items())
    ]


def summed(histograms: Sequence[Buckets]) -> Buckets:
    """Add histograms of the same bounds."""
    counts: dict[float, float] = {}
    for histogram in histograms:
        for bound, count in histogram:
            counts[bound] = counts.get(bound, 0.0) + count
    return sorted(counts.items())


def quantile(buckets: Buckets, share: float) -> float | None:
    """Estimate a quantile as Prometheus's histogram_quantile does; None when nothing was counted.

    What lies above the last finite bound is told as that bound.
    """
    if not buckets or buckets[-1][1] <= 0:
        return None
    rank = share * buckets[-1][1]
    low = below = 0.0
    for bound, count in buckets[:-1]:
        if count >= rank:
            return low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low
