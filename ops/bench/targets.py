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


_INGEST_64: Final = """\
what comes on top of null is a Publish call, which takes Python's gRPC client about as long as a
whole request takes aiohttp, and which several transactions share; an ordering key is in one call at
a time. Tried and left: some milliseconds between calls, or between those of one key, so that more
gather (a third fewer calls, the same rate within the noise); the client without its
logging interceptor (an eighth of a call, for a private attribute)."""
_INGEST_P99_512: Final = """\
a request that comes just after its ordering key's call has begun waits for two calls, and null's
never wait; that this is the cause is reasoned, not measured. Tried and left: three and ten
milliseconds between calls, which change neither the rate nor p99 beyond the noise."""
_APPLY_CPU: Final = """\
the target was set on a machine whose sketch does 10,300 requests/s on a core: compare the table of
ingest. Most is the check, which repeats the server's since others may publish to a topic too, and
the pull. Kept: raw protobuf messages, a walk of valid payloads that raises nothing, memories of
types and times. Not taken: to trust the server's check."""
_PIPELINE_P99: Final = """\
a transaction waits for its worker's batch, which waits for the other worker's turn at the same four
tables, and most of a turn is the local BigQuery's. Kept: a batch that waits for its turn takes
along what comes in; the local BigQuery runs a job in one thread, looks lists up by a join and keeps
few files with deleted rows. Tried and left: a rest for an ordering key after its Publish call,
responses of Pub/Sub that gather for some milliseconds, compaction by time as well as by jobs."""

_ALL: Final = (
    Target(
        "ingest_64",
        "requests/s over null's, 64 connections",
        ">=",
        0.85,
        remark=_INGEST_64,
    ),
    Target("ingest_512", "requests/s over null's, 512 connections", ">=", 0.90),
    Target("ingest_p99_64", "p99 over null's, 64 connections", "<=", 3.0),
    Target(
        "ingest_p99_512",
        "p99 over null's, 512 connections",
        "<=",
        1.0,
        remark=_INGEST_P99_512,
    ),
    Target("ingest_null", "null's requests/s over the sketch's, 64 connections", ">=", 0.80),
    Target(
        "apply_cpu",
        "our own CPU, a transaction of two activities",
        "<=",
        60,
        1,
        " µs",
        remark=_APPLY_CPU,
    ),
    Target("apply_statements", "statements of 1,000 transactions over those of 100", "<=", 1.0),
    Target("apply_fold", "delete + insert pairs folded", ">=", 100_000, 0, "/s"),
    Target("pipeline_share", "sustained transactions/s over the ingest figure", ">=", 0.40),
    Target(
        "pipeline_p99",
        "end to end at half that rate, p99",
        "<=",
        3.0,
        2,
        " s",
        remark=_PIPELINE_P99,
    ),
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
