"""The work of each process, from its last push."""

from collections.abc import Iterable
from typing import NamedTuple

from ops.runtime.halts import HALT_METRICS
from ops.runtime.pushed_metrics import PushedGroup, read_pushed
from ops.runtime.settings import Settings

# For each job: the unit of its work and the counters of it.
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
_SPOOL = ("gatekeeper_spool_messages", "gatekeeper_spool_bytes")


class ProcessSample(NamedTuple):
    """One process's work at its last push: `total` transactions, at Unix time `pushed_at`.

    `age_seconds` is how long ago that was when it was read.
    """

    machine: str
    unit: str
    total: float
    started_at: float
    pushed_at: float
    age_seconds: float

    def rate(self, before: "ProcessSample | None") -> float:
        """Return transactions a second since `before`, or since the process started."""
        if before and before.started_at == self.started_at and before.pushed_at < self.pushed_at:
            return (self.total - before.total) / (self.pushed_at - before.pushed_at)
        seconds = self.pushed_at - self.started_at
        return self.total / seconds if seconds > 0 else 0.0


class SpoolBacklog(NamedTuple):
    """Transactions in the spool of the servers while Pub/Sub is unreachable."""

    transactions: float
    bytes: float

    def __str__(self) -> str:
        if not self.transactions:
            return "empty"
        return (
            f"{self.transactions:,.0f} transactions ({self.bytes / 1e6:,.1f} MB) wait for Pub/Sub"
        )


def read(settings: Settings, timeout: float) -> list[PushedGroup]:
    """Return what `spool`, `samples` and `halts` need; raises OSError if they cannot be read."""
    names = [name for _, counters in _WORK.values() for name in counters]
    return read_pushed(settings, [*names, *_SPOOL, *HALT_METRICS], timeout)


def spool(groups: Iterable[PushedGroup]) -> SpoolBacklog:
    """Add up the servers' figures of the spool; servers that do not replay it push 0."""
    servers = [group for group in groups if group.job == "gatekeeper_server"]
    return SpoolBacklog(*(sum(group.total(name) for group in servers) for name in _SPOOL))


def samples(groups: Iterable[PushedGroup], read_at: float) -> dict[str, ProcessSample]:
    """Return each server's and worker's work by its name, which includes its machine's."""
    return {group.instance: _sample(group, read_at) for group in groups if group.job in _WORK}


def _sample(group: PushedGroup, read_at: float) -> ProcessSample:
    unit, counters = _WORK[group.job]
    total = sum(group.total(name) for name in counters)
    age = max(0.0, read_at - group.pushed_at)
    started_at = group.started_at or group.pushed_at
    return ProcessSample(group.machine, unit, total, started_at, group.pushed_at, age)
