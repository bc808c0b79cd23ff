"""From the POST to the committed row, everything running: the work of `bench pipeline`."""

import time
from typing import Final, NamedTuple

from ops.bench.figures import Samples, from_buckets, growth, ratios
from ops.bench.measured_fleet import MeasuredFleet, since
from ops.bench.progress import say
from ops.bench.results import Check, Grid, Plot, Result
from ops.bench.sender import Report, Sender
from ops.rig import RunFailed

_METHOD: Final = """\
The fleet of supervisord.conf as committed (2 servers, 2 workers, the embedded services), with ports
and folders of its own, under the locustfile's mix from 64 connections; nothing is pinned, all of
it and the load generator share the machine. In every round: *ingest*, with the workers stopped, as
many requests as are answered; then, the workers running, *pipeline*, as many as keep the backlog
under what the workers have in hand, counting what is applied. So both figures are of the same
processes on the same cores in the same minutes, and the pipeline's pays for the workers and the
warehouse out of the cores that ingest had for itself. Then the rate is *held* at what the rounds
have found, or less until the backlog stays level, and at last *half* of that rate is offered: end
to end is from the server's receipt to the commit, by the workers' histogram."""
_POLL_SECONDS: Final = 0.25
_HOLDS: Final = (0.95, 0.85, 0.75, 0.65, 0.5, 0.35)


class Size(NamedTuple):
    """How long to measure."""

    rounds: int = 3
    ingest_seconds: float = 6.0
    pipeline_seconds: float = 20.0
    settle_seconds: float = 20.0
    """At a rate, before it is judged: the batches grow until they keep up with it."""
    hold_seconds: float = 40.0
    half_seconds: float = 30.0
    connections: int = 64
    high: int = 20_000
    """The backlog past which no more is offered: two full batches for each of two workers."""
    level: float = 0.03
    """The backlog stays level when it grows by no more than this share of the offered rate."""


QUICK: Final = Size(1, 1.0, 2.0, 1.0, 2.0, 3.0, 8, level=1.0)


class Lag(NamedTuple):
    """A stretch at one rate: answers, and the backlog over time in (seconds, transactions)."""

    report: Report
    backlog: tuple[tuple[float, float], ...]
    cpu: dict[str, float]
    """Seconds of processor time of each process."""

    @property
    def applied(self) -> float:
        """Transactions applied a second."""
        grown = self.backlog[-1][1] - self.backlog[0][1]
        return (self.report.answered - grown) / self.report.seconds

    @property
    def growth(self) -> float:
        """Transactions a second that the backlog grew by."""
        return growth(self.backlog)


def run(size: Size) -> Result:
    """Bring a fleet up and measure it."""
    began = time.monotonic()
    with MeasuredFleet() as fleet:
        say("pipeline: the fleet is up")
        fleet.make_tables()
        ingest, applied = [], []
        for number in range(size.rounds):
            say(f"pipeline: round {number + 1} of {size.rounds}")
            ingest.append(_ingest(fleet, size))
            applied.append(_controlled(fleet, size))
        held = _held(fleet, size, Samples(tuple(each.applied for each in applied)).median)
        half, buckets = _half(fleet, size, held.report.rate / 2)
    return _result(ingest, applied, held, half, buckets, time.monotonic() - began)


def _ingest(fleet: MeasuredFleet, size: Size) -> Lag:
    """Measure the servers with the workers stopped, and throw away what they took."""
    fleet.stop_workers()
    with Sender(fleet.folder, fleet.address, size.connections) as sender:
        found = _watch(fleet, sender, size.ingest_seconds, None)
    fleet.purge()
    fleet.start_workers()
    return found


def _controlled(fleet: MeasuredFleet, size: Size) -> Lag:
    """Offer as much as keeps the workers busy, and no more."""
    with Sender(fleet.folder, fleet.address, size.connections) as sender:
        _watch(fleet, sender, size.pipeline_seconds / 4, size.high)
        found = _watch(fleet, sender, size.pipeline_seconds, size.high)
    fleet.drained()
    return found


def _watch(fleet: MeasuredFleet, sender: Sender, seconds: float, high: int | None) -> Lag:
    """Send as fast as is answered, or while the backlog is below `high`; watch the backlog."""
    sender.rate(None)
    return _observe(fleet, sender, seconds, high)


def _observe(fleet: MeasuredFleet, sender: Sender, seconds: float, high: int | None) -> Lag:
    sender.mark()
    cpu = fleet.cpu_seconds()
    began = time.monotonic()
    points = [(0.0, float(fleet.backlog()))]
    sending = True
    while time.monotonic() - began < seconds:
        time.sleep(_POLL_SECONDS)
        backlog = fleet.backlog()
        points.append((time.monotonic() - began, float(backlog)))
        if high is not None and sending != (backlog < high):
            sending = not sending
            sender.rate(None if sending else 0)
    report = sender.report()
    spent = {name: used - cpu.get(name, 0) for name, used in fleet.cpu_seconds().items()}
    fleet.check()
    return Lag(report, tuple(points), spent)


def _held(fleet: MeasuredFleet, size: Size, found: float) -> Lag:
    """Hold a rate at which the backlog stays level; raises RunFailed when there is none."""
    for share in _HOLDS:
        rate = found * share
        say(f"pipeline: holding {rate:,.0f} transactions/s")
        with Sender(fleet.folder, fleet.address, size.connections) as sender:
            sender.rate(rate)
            time.sleep(size.settle_seconds)
            held = _observe(fleet, sender, size.hold_seconds, None)
        fleet.drained()
        say(f"pipeline: the backlog grew by {held.growth:,.0f} transactions/s")
        if held.growth <= size.level * rate:
            return held
    raise RunFailed(f"the backlog grew even at {_HOLDS[-1]:.0%} of {found:,.0f} transactions/s")


def _half(fleet: MeasuredFleet, size: Size, rate: float) -> tuple[Lag, dict[float, float]]:
    """Offer a rate; return the stretch and its end-to-end histogram."""
    say(f"pipeline: half of it, {rate:,.0f} transactions/s")
    before = fleet.current()
    with Sender(fleet.folder, fleet.address, size.connections) as sender:
        sender.rate(rate)
        half = _observe(fleet, sender, size.half_seconds, None)
        sender.rate(0)
        fleet.drained()
        sent = sender.report().answered
    after = fleet.fresh(before.applied + sent)
    return half, since(after.end_to_end, before.end_to_end)


def _result(  # noqa: PLR0913, PLR0917  # each is a part of the report
    ingest: list[Lag],
    applied: list[Lag],
    held: Lag,
    half: Lag,
    buckets: dict[float, float],
    seconds: float,
) -> Result:
    taken = [each.report.rate for each in ingest]
    p50, p99 = from_buckets(buckets, 0.5), from_buckets(buckets, 0.99)
    share = ratios([held.report.rate] * len(taken), taken)
    rows = (
        ("ingest, workers stopped", Samples(tuple(taken)).text(), ""),
        ("pipeline, applied", Samples(tuple(each.applied for each in applied)).text(), ""),
        ("held, backlog level", f"{held.report.rate:,.0f}", f"{held.growth:+,.1f}"),
        ("half of it", f"{half.report.rate:,.0f}", f"{half.growth:+,.1f}"),
    )
    costs: tuple[tuple[str, ...], ...] = tuple(
        (name, f"{_cost(ingest, name):,.0f}", f"{_cost([held], name):,.0f}")
        for name in sorted(held.cpu)
    )
    generator = [sum(e.report.cpu_seconds for e in x) / _answered(x) for x in (ingest, [held])]
    costs += (("load generator", *(f"{each * 1e6:,.0f}" for each in generator)),)
    return Result(
        bench="pipeline",
        title="Pipeline: POST to committed row",
        method=_METHOD,
        checks=(
            Check("pipeline_share", share),
            Check("pipeline_p99", Samples((p99,))),
        ),
        grids=(
            Grid("Rates", ("", "transactions/s", "backlog's growth/s"), rows),
            Grid(
                "At half the rate",
                ("end to end", "seconds"),
                (("p50", f"{p50:.2f}"), ("p99", f"{p99:.2f}")),
            ),
            Grid("Processor time, µs a transaction", ("process", "ingest", "held"), costs),
        ),
        plots=(
            Plot(
                "pipeline_backlog",
                "The backlog while a rate is held",
                "seconds",
                "transactions not applied yet",
                {
                    f"{held.report.rate:,.0f}/s": held.backlog,
                    f"{half.report.rate:,.0f}/s": half.backlog,
                },
            ),
        ),
        seconds=seconds,
        data={
            "ingest": taken,
            "applied": [each.applied for each in applied],
            "held": {"rate": held.report.rate, "growth": held.growth},
            "half": {"rate": half.report.rate, "growth": half.growth, "p50": p50, "p99": p99},
            "end_to_end": {str(bound): count for bound, count in buckets.items()},
        },
    )


def _answered(stretches: list[Lag]) -> int:
    return max(sum(each.report.answered for each in stretches), 1)


def _cost(stretches: list[Lag], name: str) -> float:
    return sum(each.cpu.get(name, 0.0) for each in stretches) / _answered(stretches) * 1e6
