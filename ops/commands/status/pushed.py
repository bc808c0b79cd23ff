"""What the processes last pushed, read from the Pushgateway."""

import time
import urllib.request
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

# What a process of a job does, and the counters that count it.
_WORK = {
    "gatekeeper_server": (
        "checked",
        {"valid_payload_count_total", "invalid_payload_count_total"},
    ),
    "gatekeeper_worker": (
        "settled",
        {"gatekeeper_applied_total", "gatekeeper_dead_lettered_total"},
    ),
}


class Sample(NamedTuple):
    """One process's work at its last push: `total` transactions, at Unix time `pushed_at`."""

    unit: str
    total: float
    started_at: float
    pushed_at: float

    @property
    def age_seconds(self) -> float:
        """How long ago the last push was."""
        return max(0.0, time.time() - self.pushed_at)

    def rate(self, before: "Sample | None") -> float:
        """Return transactions a second since `before`, or since the process started."""
        if before and before.started_at == self.started_at and before.pushed_at < self.pushed_at:
            return (self.total - before.total) / (self.pushed_at - before.pushed_at)
        seconds = self.pushed_at - self.started_at
        return self.total / seconds if seconds > 0 else 0.0


class Spool(NamedTuple):
    """What waits on the servers' disk while Pub/Sub cannot be reached."""

    transactions: float
    bytes: float

    def __str__(self) -> str:
        if not self.transactions:
            return "empty"
        return (
            f"{self.transactions:,.0f} transactions ({self.bytes / 1e6:,.1f} MB) wait for Pub/Sub"
        )


def page(gateway: str, timeout: float) -> str:
    """Return the gateway's page of metrics; raises OSError when it is away."""
    with urllib.request.urlopen(f"http://{gateway}/metrics", timeout=timeout) as answer:
        text: str = answer.read().decode()
        return text


def spool(text: str) -> Spool:
    """Read the spool's figures from the page; servers that do not replay it say 0."""
    sums = dict.fromkeys(("gatekeeper_spool_messages", "gatekeeper_spool_bytes"), 0.0)
    wanted = "".join(f"{line}\n" for line in text.splitlines() if line.startswith(tuple(sums)))
    for family in text_string_to_metric_families(wanted):
        for sample in family.samples:
            if sample.labels.get("job") == "gatekeeper_server":
                sums[sample.name] += sample.value
    return Spool(*sums.values())


def parse(text: str) -> dict[str, Sample]:
    """Read the Pushgateway's own page of metrics."""
    totals: dict[tuple[str, str], float] = {}
    times: dict[str, dict[tuple[str, str], float]] = {
        "process_start_time_seconds": {},
        "push_time_seconds": {},
    }
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.labels.get("job", ""), sample.labels.get("instance", ""))
            if key[0] not in _WORK:
                continue
            if sample.name in _WORK[key[0]][1]:
                totals[key] = totals.get(key, 0.0) + sample.value
            elif sample.name in times:
                times[sample.name][key] = sample.value
    return {
        key[1]: Sample(
            _WORK[key[0]][0],
            totals.get(key, 0.0),
            times["process_start_time_seconds"].get(key, pushed_at),
            pushed_at,
        )
        for key, pushed_at in times["push_time_seconds"].items()
    }
