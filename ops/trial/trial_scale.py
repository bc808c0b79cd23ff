"""The settings of a trial's fleet, in proportion to its load. Pure.

The embedded BigQuery needs processor time for each commit and for each statement in it, and every
lane has a statement for nearly every table of the load. So a large trial has large batches. A
backlog keeps every lane busy; it is bounded, so that leases last and faults hit what was sent
shortly before.
"""

from typing import NamedTuple, Self

LARGE = 5_000
"""A trial with more transactions is large."""


class TrialScale(NamedTuple):
    """How a trial is run; seconds are those of the settings and options with these names."""

    batch_max_messages: int
    """Small: more commits in a short trial for faults to hit."""
    batch_max_seconds: float
    lease_seconds: int
    """Short: a killed worker's messages come back only afterwards. Long enough for a batch."""
    backlog: int
    """Unacknowledged messages from which on the load waits."""
    job_seconds: float
    statement_seconds: float
    """Of the strict BigQuery, on top of what the embedded one needs. All lanes change the same
    tables, so it runs one commit at a time."""

    @classmethod
    def of(cls, transactions: int) -> Self:
        """Return what suits a number of transactions."""
        if transactions <= LARGE:
            return cls(500, 0.2, 10, 5_000, 1.0, 0.7)
        return cls(2_000, 2.0, 60, 12_000, 0.0, 0.0)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of every machine."""
        return {
            "BATCH_MAX_MESSAGES": str(self.batch_max_messages),
            "BATCH_MAX_SECONDS": str(self.batch_max_seconds),
            "FRESHNESS_SECONDS": str(self.batch_max_seconds),
            "LEASE_SECONDS": str(self.lease_seconds),
        }

    @property
    def strict_options(self) -> tuple[str, ...]:
        """The latency of the strict BigQuery, as its options."""
        latency = "--job-seconds", self.job_seconds, "--statement-seconds", self.statement_seconds
        return tuple(map(str, latency))

    def text(self, *, strict: bool) -> str:
        """Describe it in a line; the latency only where the trial is `strict`."""
        found = (
            f"batches of {self.batch_max_messages:,} messages or "
            f"{self.batch_max_seconds:g} s, leases of {self.lease_seconds} s, "
            f"a backlog of {self.backlog:,} messages"
        )
        if strict:
            found += f", {self.job_seconds:g} s a job and {self.statement_seconds:g} s a statement"
        return found
