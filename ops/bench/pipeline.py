"""From the POST to the committed row, on a whole fleet: `gatekeeper bench pipeline`."""

import time
from typing import Final, NamedTuple

from ops.bench.bench_progress import rounds, show_progress
from ops.bench.load_generator import LoadGenerator, LoadReport
from ops.bench.measured_fleet import MeasuredFleet, added, measured_fleet
from ops.bench.results import BenchResult, Plot, Points, ResultTable, TargetCheck
from ops.bench.samples import Samples, growth
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
_POLL_SECONDS: Final = 0.25
_HELD_SHARES: Final = (0.95, 0.85, 0.75, 0.65, 0.5, 0.35)


class PipelineSize(NamedTuple):
    rounds: int = 3
    ingest_seconds: float = 6.0
    pipeline_seconds: float = 20.0
    settle_seconds: float = 20.0
    """At a rate, before the backlog is watched: batches grow until they keep up with it."""
    hold_seconds: float = 40.0
    half_seconds: float = 30.0
    connections: int = 64
    max_backlog: int = 20_000
    """The load pauses while the backlog is larger: two full batches for each of two workers."""
    level: float = 0.03
    """The backlog is level if it grows by no more than this share of the offered rate."""


_QUICK: Final = PipelineSize(1, 1.0, 8.0, 2.0, 4.0, 4.0, 8, level=1.0)


class Observation(NamedTuple):
    """Some seconds of load: the answers, and the backlog over time in (seconds, transactions)."""

    report: LoadReport
    backlog: Points
    cpu: dict[str, float]
    """Seconds of processor time of each process."""

    @property
    def applied(self) -> float:
        """Transactions applied a second."""
        grown = self.backlog[-1][1] - self.backlog[0][1]
        return (self.report.answered - grown) / self.report.seconds

    @property
    def growth(self) -> float:
        """Transactions a second by which the backlog grew."""
        return growth(self.backlog)


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
        held = _hold(fleet, size, Samples.of(each.applied for each in applied).median)
        half, end_to_end = _half(fleet, size, held.report.rate / 2)
    return _result(_Findings(ingest, applied, held, half, end_to_end))


def _load(fleet: MeasuredFleet, size: PipelineSize) -> LoadGenerator:
    return LoadGenerator(fleet.folder, fleet.address, size.connections)


def _ingest(fleet: MeasuredFleet, size: PipelineSize) -> Observation:
    """Measure the servers with the workers stopped, and discard what they took."""
    fleet.stop_workers()
    with _load(fleet, size) as load:
        load.rate(None)
        found = _observe(fleet, load, size.ingest_seconds)
    fleet.purge()
    fleet.start_workers()
    return found


def _pipeline(fleet: MeasuredFleet, size: PipelineSize) -> Observation:
    """Measure the whole fleet at the highest rate that keeps the backlog small."""
    with _load(fleet, size) as load:
        load.rate(None)
        _observe(fleet, load, size.pipeline_seconds / 4, size.max_backlog)
        found = _observe(fleet, load, size.pipeline_seconds, size.max_backlog)
    fleet.drain()
    return found


def _observe(
    fleet: MeasuredFleet, load: LoadGenerator, seconds: float, max_backlog: int | None = None
) -> Observation:
    """Watch the backlog for some seconds; pause the load while it is above `max_backlog`."""
    load.mark()
    cpu = fleet.cpu_seconds()
    began = time.monotonic()
    points = [(0.0, float(fleet.backlog()))]
    while time.monotonic() - began < seconds:
        time.sleep(_POLL_SECONDS)
        backlog = fleet.backlog()
        points.append((time.monotonic() - began, float(backlog)))
        if max_backlog is not None:
            load.pause(paused=backlog >= max_backlog)
    report = load.report()
    spent = {name: used - cpu.get(name, 0) for name, used in sorted(fleet.cpu_seconds().items())}
    spent["load generator"] = report.cpu_seconds
    fleet.check()
    return Observation(report, tuple(points), spent)


def _hold(fleet: MeasuredFleet, size: PipelineSize, highest: float) -> Observation:
    """Hold a rate at which the backlog stays level; raises RunFailed when there is none."""
    for share in _HELD_SHARES:
        rate = highest * share
        show_progress(f"pipeline: holding {rate:,.0f} transactions/s")
        with _load(fleet, size) as load:
            load.rate(rate)
            time.sleep(size.settle_seconds)
            held = _observe(fleet, load, size.hold_seconds)
        fleet.drain()
        show_progress(f"pipeline: the backlog grew by {held.growth:,.0f} transactions/s")
        if held.growth <= size.level * rate:
            return held
    raise RunFailed(f"the backlog grew even at {rate:,.0f} transactions/s")


def _half(fleet: MeasuredFleet, size: PipelineSize, rate: float) -> tuple[Observation, Buckets]:
    """Offer a rate; return the observation and its end-to-end histogram."""
    show_progress(f"pipeline: half of it, {rate:,.0f} transactions/s")
    before = fleet.totals_after_push()
    with _load(fleet, size) as load:
        load.rate(rate)
        half = _observe(fleet, load, size.half_seconds)
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
            TargetCheck("pipeline_p99", Samples.of([p99])),
        ),
        tables=(
            ResultTable("Rates", ("", "transactions/s", "backlog's growth/s"), rates),
            ResultTable("At half the rate", ("end to end", "seconds"), seconds),
            _cpu_table(found.ingest, [held]),
        ),
        plots=(_plot(held, half),),
        data=found._asdict(),
    )


def _quantile(buckets: Buckets, share: float) -> float:
    found = quantile(buckets, share)
    if found is None:
        raise RunFailed("the workers counted no transaction")
    return found


def _cpu_table(*columns: list[Observation]) -> ResultTable:
    def cost(observations: list[Observation], name: str) -> str:
        answered = max(sum(each.report.answered for each in observations), 1)
        seconds = sum(each.cpu.get(name, 0.0) for each in observations)
        return f"{seconds / answered * 1e6:,.0f}"

    names = columns[-1][0].cpu
    rows = tuple((name, *(cost(column, name) for column in columns)) for name in names)
    return ResultTable("Processor time, µs a transaction", ("process", "ingest", "held"), rows)


def _plot(*observations: Observation) -> Plot:
    return Plot(
        "pipeline_backlog",
        "The backlog at a constant rate",
        "seconds",
        "transactions not applied yet",
        {f"{each.report.rate:,.0f}/s": each.backlog for each in observations},
    )
