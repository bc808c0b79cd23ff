"""Some seconds of load on a fleet: what was answered and applied, the backlog, processor time."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from ops.bench.bench_progress import show_progress
from ops.bench.load_generator import LoadGenerator, LoadReport
from ops.bench.results import Plot, Points, ResultTable
from ops.bench.samples import growth
from ops.rig import RunFailed

_POLL_SECONDS: Final = 0.25
_HELD_SHARES: Final = (0.95, 0.85, 0.75, 0.65, 0.5, 0.35)


class ObservedFleet(Protocol):
    """A fleet under load. Its methods raise RunFailed when a process has ended."""

    def backlog(self) -> int:
        """Return how many transactions are not applied yet."""

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that each process has used so far."""

    def check(self) -> None:
        """Return if every process runs as it should."""

    def drain(self) -> None:
        """Return when everything is applied."""


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
    def cores(self) -> float:
        """Cores that the fleet and the load took."""
        return sum(self.cpu.values()) / self.report.seconds

    @property
    def by_program(self) -> dict[str, float]:
        """Seconds of processor time of all processes of each program."""
        found = defaultdict[str, float](float)
        for process, seconds in self.cpu.items():
            found[_program(process)] += seconds
        return dict(found)

    @property
    def growth(self) -> float:
        """Transactions a second by which the backlog grew."""
        return growth(self.backlog)


class HoldTimes(NamedTuple):
    """How long a rate is held, in seconds."""

    settle: float
    """Before the backlog is watched: batches grow until they keep up with the rate."""
    watch: float
    level: float = 0.03
    """The backlog is level if it grows by no more than this share of the offered rate."""


def observe(
    fleet: ObservedFleet, load: LoadGenerator, seconds: float, max_backlog: int | None = None
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


def hold(
    fleet: ObservedFleet, load_on: Callable[[], LoadGenerator], highest: float, times: HoldTimes
) -> Observation:
    """Hold a rate at which the backlog stays level; raises RunFailed when there is none."""
    for share in _HELD_SHARES:
        rate = highest * share
        show_progress(f"holding {rate:,.0f} transactions/s")
        with load_on() as load:
            load.warm_up(0)
            load.rate(rate)
            time.sleep(times.settle)
            held = observe(fleet, load, times.watch)
        fleet.drain()
        show_progress(f"the backlog grew by {held.growth:,.0f} transactions/s")
        if held.growth <= times.level * rate:
            return held
    raise RunFailed(f"the backlog grew even at {rate:,.0f} transactions/s")


def cpu_table(**columns: list[Observation]) -> ResultTable:
    """Return the processor time of each program for an answered transaction, in µs."""

    def cost(observations: list[Observation], program: str) -> str:
        answered = max(sum(each.report.answered for each in observations), 1)
        seconds = sum(each.by_program.get(program, 0.0) for each in observations)
        return f"{seconds / answered * 1e6:,.0f}"

    programs = dict.fromkeys(
        program for column in columns.values() for each in column for program in each.by_program
    )
    rows = tuple(
        (program, *(cost(column, program) for column in columns.values())) for program in programs
    )
    return ResultTable("Processor time, µs a transaction", ("program", *columns), rows)


def _program(process: str) -> str:
    """Return the program of a process: `worker` of `worker_07`."""
    return process.rstrip("0123456789").rstrip("_")


def backlog_plot(name: str, *observations: Observation) -> Plot:
    return Plot(
        name,
        "The backlog at a constant rate",
        "seconds",
        "transactions not applied yet",
        {f"{each.report.rate:,.0f}/s": each.backlog for each in observations},
    )
