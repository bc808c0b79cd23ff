"""From the POST to the committed row, on a whole fleet: `gatekeeper bench pipeline`."""

import time
from typing import Final, NamedTuple

from ops.bench.bench_progress import show_progress
from ops.bench.load_generator import LoadGenerator, LoadReport
from ops.bench.measured_fleet import MeasuredFleet, added
from ops.bench.results import BenchResult, Plot, Points, ResultTable, TargetCheck
from ops.bench.samples import Samples, growth, histogram_percentile, ratios
from ops.rig import RunFailed
from ops.runtime.pushed_metrics import Buckets

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


QUICK: Final = PipelineSize(1, 1.0, 2.0, 1.0, 2.0, 3.0, 8, level=1.0)


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


def run(size: PipelineSize) -> BenchResult:
    with MeasuredFleet() as fleet:
        show_progress("pipeline: the fleet is up")
        fleet.make_tables()
        ingest, applied = [], []
        for number in range(size.rounds):
            show_progress(f"pipeline: round {number + 1} of {size.rounds}")
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
        load.rate(None)
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
    sending = True
    while time.monotonic() - began < seconds:
        time.sleep(_POLL_SECONDS)
        backlog = fleet.backlog()
        points.append((time.monotonic() - began, float(backlog)))
        if max_backlog is not None and sending != (backlog < max_backlog):
            sending = not sending
            load.rate(None if sending else 0)
    report = load.report()
    spent = {name: used - cpu.get(name, 0) for name, used in fleet.cpu_seconds().items()}
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
    raise RunFailed(
        f"the backlog grew even at {_HELD_SHARES[-1]:.0%} of {highest:,.0f} transactions/s"
    )


def _half(
    fleet: MeasuredFleet, size: PipelineSize, rate: float
) -> tuple[Observation, dict[float, float]]:
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
    ingest = [each.report.rate for each in found.ingest]
    applied = [each.applied for each in found.applied]
    held, half = found.held, found.half
    p50, p99 = (histogram_percentile(found.end_to_end, share) for share in (0.5, 0.99))
    rates = (
        ("ingest, workers stopped", Samples.of(ingest).text(), ""),
        ("pipeline, applied", Samples.of(applied).text(), ""),
        ("held, backlog level", f"{held.report.rate:,.0f}", f"{held.growth:+,.1f}"),
        ("half of it", f"{half.report.rate:,.0f}", f"{half.growth:+,.1f}"),
    )
    seconds = (("p50", f"{p50:.2f}"), ("p99", f"{p99:.2f}"))
    return BenchResult(
        title="Pipeline: POST to committed row",
        method=_METHOD,
        checks=(
            TargetCheck("pipeline_share", ratios([held.report.rate] * len(ingest), ingest)),
            TargetCheck("pipeline_p99", Samples.of([p99])),
        ),
        tables=(
            ResultTable("Rates", ("", "transactions/s", "backlog's growth/s"), rates),
            ResultTable("At half the rate", ("end to end", "seconds"), seconds),
            _cpu_table(found.ingest, held),
        ),
        plots=(_plot(held, half),),
        data={
            "ingest": ingest,
            "applied": applied,
            "held": {"rate": held.report.rate, "growth": held.growth},
            "half": {"rate": half.report.rate, "growth": half.growth, "p50": p50, "p99": p99},
            "end_to_end": {str(bound): count for bound, count in found.end_to_end.items()},
        },
    )


def _cpu_table(ingest: list[Observation], held: Observation) -> ResultTable:
    def row(name: str, *seconds: float) -> tuple[str, ...]:
        return (
            name,
            *(f"{each / n * 1e6:,.0f}" for each, n in zip(seconds, answered, strict=True)),
        )

    answered = [max(sum(each.report.answered for each in ingest), 1), held.report.answered or 1]
    rows = [
        row(name, sum(each.cpu.get(name, 0.0) for each in ingest), held.cpu[name])
        for name in sorted(held.cpu)
    ]
    generator = sum(each.report.cpu_seconds for each in ingest)
    rows.append(row("load generator", generator, held.report.cpu_seconds))
    columns = ("process", "ingest", "held")
    return ResultTable("Processor time, µs a transaction", columns, tuple(rows))


def _plot(*observations: Observation) -> Plot:
    return Plot(
        "pipeline_backlog",
        "The backlog at a constant rate",
        "seconds",
        "transactions not applied yet",
        {f"{each.report.rate:,.0f}/s": each.backlog for each in observations},
    )
