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


def read(gateway: str, timeout: float) -> dict[str, Sample]:
    """Return each process's sample by its name; raises OSError when the gateway is away."""
    with urllib.request.urlopen(f"http://{gateway}/metrics", timeout=timeout) as answer:
        return parse(answer.read().decode())


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
