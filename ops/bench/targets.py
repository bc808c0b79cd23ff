"""The targets: the limit of each figure, and a remark for the figures that miss it.

`gatekeeper bench all` copies both into docs/performance.md.
"""

from typing import Final, Literal, NamedTuple


class FigureTarget(NamedTuple):
    """The limit of a figure."""

    name: str
    figure: str
    sense: Literal[">=", "<="]
    limit: float
    digits: int = 2
    unit: str = ""

    def reached(self, value: float) -> bool:
        return value >= self.limit if self.sense == ">=" else value <= self.limit

    @property
    def text(self) -> str:
        sense = "at least" if self.sense == ">=" else "at most"
        return f"{sense} {self.limit:,.{self.digits}f}{self.unit}"

    @property
    def remark(self) -> str:
        """Why the figure misses the target, and what was tried."""
        return _REMARKS.get(self.name, "No remark yet.")


_COST: Final = "BigQuery on demand, 100/s, 40 tables of 1 GB in 30 partitions"
_REMARKS: Final = {
    "ingest_64": """\
Compared with null, the server also makes a Publish call. Several transactions share it. It takes
Python's gRPC client about as long as aiohttp takes for a whole request, and an ordering key is in
one call at a time. Tried without success: a pause of some milliseconds between calls, or between
the calls of one key, so that more transactions gather (a third fewer calls, but the same rate
within the noise); the client without its logging interceptor (saves an eighth of a call, but needs
a private attribute).""",
    "ingest_p99_512": """\
A request that arrives just after its ordering key's call has begun waits for two calls; null's
requests never wait. This cause is reasoned, not measured. Tried without success: three and ten
milliseconds between calls, which change neither the rate nor p99 beyond the noise.""",
    "apply_cpu": """\
The target was set on a machine on which the minimal server handles 10,300 requests/s on a core;
compare with the table of ingest. Most of the time goes to the pull and to the check. The check
repeats the server's, because other programs may publish to the topic too, so it stays. Done: raw
protobuf messages, a walk of valid payloads that raises nothing, caches of types and times.""",
    "pipeline_p99": """\
A transaction waits for its worker's batch, the batch waits for the other worker's job on the same
four tables, and most of a job is the embedded BigQuery's. Done: a waiting batch takes along what
arrives; the embedded BigQuery runs a job in one thread, uses a join to look up lists, and keeps few
files with deleted rows. Tried without success: a pause for an ordering key after its Publish call,
Pub/Sub responses that gather for some milliseconds, compaction by time as well as by jobs.""",
}
_TARGETS: Final = (
    FigureTarget("ingest_64", "requests/s over null's, 64 connections", ">=", 0.85),
    FigureTarget("ingest_512", "requests/s over null's, 512 connections", ">=", 0.95),
    FigureTarget("ingest_p99_64", "p99 over null's, 64 connections", "<=", 1.5),
    FigureTarget("ingest_p99_512", "p99 over null's, 512 connections", "<=", 1.2),
    FigureTarget("ingest_null", "null's requests/s over minimal's, 64 connections", ">=", 0.80),
    FigureTarget("apply_cpu", "our own CPU a transaction (two activities)", "<=", 60, 1, " µs"),
    FigureTarget("apply_statements", "statements of 1,000 transactions over 100", "<=", 1.0),
    FigureTarget("apply_fold", "delete + insert pairs folded", ">=", 100_000, 0, "/s"),
    FigureTarget("apply_keyed", "keyed activities folded", ">=", 150_000, 0, "/s"),
    FigureTarget(
        "contract_check", "contract check a transaction (two activities)", "<=", 15, 1, " µs"
    ),
    FigureTarget("contract_load", "2,000 contracts of 50 columns loaded, CPU", "<=", 2, 1, " s"),
    FigureTarget("contract_memory", "2,000 contracts of 50 columns in use", "<=", 100, 0, " MB"),
    FigureTarget("pipeline_share", "sustained transactions/s over the ingest figure", ">=", 0.55),
    FigureTarget("pipeline_p50", "end to end at half that rate, p50", "<=", 1.0, 2, " s"),
    FigureTarget("pipeline_p99", "end to end at half that rate, p99", "<=", 3.0, 2, " s"),
    FigureTarget("scale_8", "8 workers over 8 times one worker", ">=", 0.90),
    FigureTarget("strict_rate", "strict: 40 tables, held", ">=", 2_000, 0, "/s"),
    FigureTarget("strict_p99", "strict: end to end at half that rate, p99", "<=", 18.0, 1, " s"),
    FigureTarget("strict_many", "strict: 300 tables over 40", ">=", 0.50),
    FigureTarget("strict_hot", "strict: one hot table", ">=", 1_000, 0, "/s"),
    FigureTarget(
        "strict_lanes", "strict: other lanes' p99 while one is stuck over before", "<=", 1.20
    ),
    FigureTarget("strict_refusals", "strict: refusals by a quota or a conflict", "<=", 0, 0),
    FigureTarget("strict_cost", "strict: billed over estimated, or the inverse", "<=", 1.20),
    FigureTarget("memory_server", "server memory: end of the run over early in it", "<=", 1.10),
    FigureTarget("memory_worker", "worker memory: end of the run over early in it", "<=", 1.10),
    FigureTarget("memory_outstanding", "worker memory, 10,000 outstanding", "<=", 200, 0, " MB"),
    FigureTarget("quiet_start", "start of the fleet until it is ready", "<=", 4.0, 1, " s"),
    FigureTarget("quiet_idle", "idle fleet, of one core", "<=", 3.0, 1, " %"),
    FigureTarget("quiet_memory", "idle fleet, PSS", "<=", 600, 0, " MB"),
    FigureTarget("cost_60", f"{_COST}, 60 s", "<=", 30, 2, " $/day"),
    FigureTarget("cost_10", f"{_COST}, 10 s", "<=", 180, 2, " $/day"),
    FigureTarget("locust_failures", "failed requests of 1,000 users", "<=", 0, 0),
)
TARGETS: Final = {target.name: target for target in _TARGETS}
