"""The targets: what each figure is to reach, and a remark on those that fall short.

One place for both, so that `gatekeeper bench all` writes docs/performance.md anew, remarks and all.
"""

from typing import Final, Literal, NamedTuple


class Target(NamedTuple):
    """A figure's limit. `remark` says what was tried; it is shown where the figure falls short."""

    name: str
    says: str
    sense: Literal[">=", "<="]
    limit: float
    digits: int = 2
    unit: str = ""
    remark: str = ""

    def reached(self, value: float) -> bool:
        """Tell whether a measured value is on the right side of the limit."""
        return value >= self.limit if self.sense == ">=" else value <= self.limit

    @property
    def wanted(self) -> str:
        """The limit as people read it."""
        sense = "at least" if self.sense == ">=" else "at most"
        return f"{sense} {self.limit:,.{self.digits}f}{self.unit}"


_ALL: Final = (
    Target("ingest_64", "requests/s over null's, 64 connections", ">=", 0.85),
    Target("ingest_512", "requests/s over null's, 512 connections", ">=", 0.90),
    Target("ingest_p99_64", "p99 over null's, 64 connections", "<=", 3.0),
    Target("ingest_p99_512", "p99 over null's, 512 connections", "<=", 1.0),
    Target("ingest_null", "null's requests/s over the sketch's, 64 connections", ">=", 0.80),
    Target("apply_cpu", "our own CPU, a transaction of two activities", "<=", 60, 1, " µs"),
    Target("apply_statements", "statements of 1,000 transactions over those of 100", "<=", 1.0),
    Target("apply_fold", "delete + insert pairs folded", ">=", 100_000, 0, "/s"),
    Target("pipeline_share", "sustained transactions/s over the ingest figure", ">=", 0.40),
    Target("pipeline_p99", "end to end at half that rate, p99", "<=", 3.0, 2, " s"),
    Target("scale_8", "8 workers over 8 times one worker", ">=", 0.90),
    Target("memory_server", "a server after all transactions over a tenth of them", "<=", 1.10),
    Target("memory_worker", "a worker after all transactions over a tenth of them", "<=", 1.10),
    Target("memory_outstanding", "a worker with 10,000 outstanding", "<=", 200, 0, " MB"),
    Target("pace_warehouse", "a local transaction late over early", "<=", 1.5),
    Target("pace_published", "local Pub/Sub, published durably", ">=", 20_000, 0, "/s"),
    Target("pace_pulled", "local Pub/Sub, pulled and acked durably", ">=", 10_000, 0, "/s"),
    Target("locust_failures", "failed requests of 1,000 users", "<=", 0, 0),
)
TARGETS: Final = {target.name: target for target in _ALL}
