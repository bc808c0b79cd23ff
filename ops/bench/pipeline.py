"""From the POST to the committed row, on a whole fleet: `gatekeeper bench pipeline`."""

from typing import Final, NamedTuple

from ops.bench.bench_progress import rounds, show_progress
from ops.bench.load_generator import LoadGenerator
from ops.bench.measured_fleet import MeasuredFleet, added, measured_fleet
from ops.bench.observation import HoldTimes, Observation, backlog_plot, cpu_table, hold, observe
from ops.bench.results import BenchResult, ResultTable, TargetCheck
from ops.bench.samples import Samples
from ops.rig import RunFailed
from ops.runtime.pushed_metrics import Buckets, quantile

_METHOD: Final = """\
The fleet of supervisord.conf (2 servers, 2 workers, the embedded services), with its own ports and
folders, takes the locustfile's mix from 64 connections. No process is pinned to a core; the fleet
and the load generator share the machine. Each round measures two rates. *Ingest*: the workers are
stopped, and each connection sends as fast as it is answered. *Pipeline*: the workers run, the load
pauses while the backlog is more than the workers can hold, and what they apply is counted. Both
figures come from the same processes on the same cores in the same minutes, but in the pipeline the
workers and the warehouse need a part of the cores. Then the rate that the rounds found is *held*,
or a lower one until the backlog stays level. At last *half* of that rate is offered: end to end is
the time from the server's receipt to the commit, from the workers' histogram."""


class PipelineSize(NamedTuple):
    rounds: int = 3
    ingest_seconds: float = 6.0
    pipeline_seconds: float = 20.0
    hold: HoldTimes = HoldTimes(20.0, 40.0)
    half_seconds: float = 30.0
    connections: int = 64
    max_backlog: int = 20_000
    """The load pauses while the backlog is larger: two full batches for each of two workers."""


_QUICK: Final = PipelineSize(1, 1.0, 8.0, HoldTimes(2.0, 4.0, 1.0), 4.0, 8)


class _Findings(NamedTuple):
    ingest: list[Observation]
    applied: list[Observation]
    held: Observation
    half: Observation
    end_to_end: Buckets
    """Histogram of the seconds at half the rate: upper bound → transactions up to it."""


def run(*, quick: bool) -> BenchResult:
    size = _QUICK if quick else PipelineSize()
    with measured_fleet() as fleet:
        ingest, applied = [], []
        for _ in rounds(size.rounds, "pipeline"):
            ingest.append(_ingest(fleet, size))
            applied.append(_pipeline(fleet, size))
        highest = Samples.of(each.applied for each in applied).median
        held = hold(fleet, lambda: _load(fleet, size), highest, size.hold)
        half, end_to_end = _half(fleet, size, held.report.rate / 2)
    return _result(_Findings(ingest, applied, held, half, end_to_end))


def _load(fleet: MeasuredFleet, size: PipelineSize) -> LoadGenerator:
    return LoadGenerator(fleet.folder, fleet.address, size.connections)


def _ingest(fleet: MeasuredFleet, size: PipelineSize) -> Observation:
    """Measure the servers with the workers stopped, and discard what they took."""
    fleet.stop_workers()
    with _load(fleet, size) as load:
        load.rate(None)
        found = observe(fleet, load, size.ingest_seconds)
    fleet.purge()
    fleet.start_workers()
    return found


def _pipeline(fleet: MeasuredFleet, size: PipelineSize) -> Observation:
    """Measure the whole fleet at the highest rate that keeps the backlog small."""
    with _load(fleet, size) as load:
        load.rate(None)
        observe(fleet, load, size.pipeline_seconds / 4, size.max_backlog)
        found = observe(fleet, load, size.pipeline_seconds, size.max_backlog)
    fleet.drain()
    return found


def _half(fleet: MeasuredFleet, size: PipelineSize, rate: float) -> tuple[Observation, Buckets]:
    """Offer a rate; return the observation and its end-to-end histogram."""
    show_progress(f"pipeline: half of it, {rate:,.0f} transactions/s")
    before = fleet.totals_after_push()
    with _load(fleet, size) as load:
        load.rate(rate)
        half = observe(fleet, load, size.half_seconds)
        load.rate(0)
        fleet.drain()
        sent = load.report().answered
    after = fleet.totals_after(before.applied + sent)
    return half, added(after.end_to_end, before.end_to_end)


def _result(found: _Findings) -> BenchResult:
    ingest = Samples.of(each.report.rate for each in found.ingest)
    applied = Samples.of(each.applied for each in found.applied)
    held, half = found.held, found.half
    sustained = Samples.of(held.report.rate / each for each in ingest.values)
    p50, p99 = (_quantile(found.end_to_end, share) for share in (0.5, 0.99))
    rates = (
        ("ingest, workers stopped", ingest.text(), ""),
        ("pipeline, applied", applied.text(), ""),
        ("held, backlog level", f"{held.report.rate:,.0f}", f"{held.growth:+,.1f}"),
        ("half of it", f"{half.report.rate:,.0f}", f"{half.growth:+,.1f}"),
    )
    seconds = (("p50", f"{p50:.2f}"), ("p99", f"{p99:.2f}"))
    return BenchResult(
        title="Pipeline: POST to committed row",
        method=_METHOD,
        checks=(
            TargetCheck("pipeline_share", sustained),
            TargetCheck("pipeline_p50", Samples.of([p50])),
            TargetCheck("pipeline_p99", Samples.of([p99])),
        ),
        tables=(
            ResultTable("Rates", ("", "transactions/s", "backlog's growth/s"), rates),
            ResultTable("At half the rate", ("end to end", "seconds"), seconds),
            cpu_table(ingest=found.ingest, held=[held]),
        ),
        plots=(backlog_plot("pipeline_backlog", held, half),),
        data=found._asdict(),
    )


def _quantile(buckets: Buckets, share: float) -> float:
    found = quantile(buckets, share)
    if found is None:
        raise RunFailed("the workers counted no transaction")
    return found
