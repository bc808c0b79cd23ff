"""What local mode costs where nothing happens: `gatekeeper bench quiet`."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from ops.bench.bench_progress import rounds
from ops.bench.results import BenchResult, ResultTable, TargetCheck
from ops.bench.samples import Samples
from ops.rig import cpu_seconds
from ops.rig.disposable_fleet import DisposableFleet

_METHOD: Final = """\
A fleet with default settings starts with an empty STATE_DIR, ends, and starts again with the same
one, as `ops/up` starts it where the environment is made. Then it gets no request: the processor
time of all its processes, supervisord among them, is that of five minutes, from ten seconds after
the start. Memory is read at the end. The proportional set size (PSS) counts a shared page once, the
resident set size (RSS) once for each process that has it."""
_SUPERVISORD: Final = "supervisord"


class QuietSize(NamedTuple):
    rounds: int = 3
    settle_seconds: float = 10.0
    idle_seconds: float = 300.0


_QUICK: Final = QuietSize(1, 0.1, 1.0)


class Start(NamedTuple):
    """A start until the fleet is ready: seconds, and processor seconds of all its processes."""

    seconds: float
    cpu: float


class IdleProcess(NamedTuple):
    """A process of an idle fleet: its share of a processor in percent, and its memory in MB."""

    share: float
    pss: float
    rss: float


class QuietRound(NamedTuple):
    """Starts with an empty STATE_DIR and with a used one; processes by name."""

    new: Start
    used: Start
    processes: Mapping[str, IdleProcess]

    @property
    def total(self) -> IdleProcess:
        return IdleProcess(*map(sum, zip(*self.processes.values(), strict=True)))


def run(*, quick: bool) -> BenchResult:
    size = _QUICK if quick else QuietSize()
    return result_of([_round(size) for _ in rounds(size.rounds, "quiet")])


def _round(size: QuietSize) -> QuietRound:
    with tempfile.TemporaryDirectory(
        prefix="gatekeeper-bench-", ignore_cleanup_errors=True
    ) as folder:
        fleet = DisposableFleet(
            Path(folder), METRICS_PUSH_SECONDS="", BATCH_MAX_SECONDS="", LEASE_SECONDS="", LANES=""
        )
        try:
            new = _start(fleet)
            fleet.end()
            used = _start(fleet)
            time.sleep(size.settle_seconds)
            processes = _idle(fleet, size.idle_seconds)
            fleet.end()
        except BaseException:
            fleet.kill()
            raise
    return QuietRound(new, used, processes)


def _start(fleet: DisposableFleet) -> Start:
    began = time.monotonic()
    fleet.up()
    seconds = time.monotonic() - began
    # With those that have ended, such as provision: supervisord has waited for them.
    ended = psutil.Process(fleet.supervisord_pid).cpu_times()
    cpu = ended.children_user + ended.children_system
    return Start(seconds, cpu + sum(map(cpu_seconds, _pids(fleet).values())))


def _pids(fleet: DisposableFleet) -> dict[str, int]:
    running = {each.name: each.pid for each in fleet.states() if each.state == "RUNNING"}
    return {_SUPERVISORD: fleet.supervisord_pid, **running}


def _idle(fleet: DisposableFleet, seconds: float) -> dict[str, IdleProcess]:
    pids = _pids(fleet)
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    began = time.monotonic()
    time.sleep(seconds)
    found = {}
    for name, pid in pids.items():
        share = (cpu_seconds(pid) - before[name]) / (time.monotonic() - began)
        memory = psutil.Process(pid).memory_full_info()
        found[name] = IdleProcess(100 * share, memory.pss / 1e6, memory.rss / 1e6)
    return found


def result_of(measured: Sequence[QuietRound]) -> BenchResult:
    """Return the report of these rounds. Pure."""
    totals = [each.total for each in measured]
    checks = (
        TargetCheck("quiet_start", Samples.of(each.used.seconds for each in measured)),
        TargetCheck("quiet_idle", Samples.of(each.share for each in totals)),
        TargetCheck("quiet_memory", Samples.of(each.pss for each in totals)),
    )
    starts = [
        (
            name,
            Samples.of(start.seconds for start in found).text(1),
            Samples.of(start.cpu for start in found).text(1),
        )
        for name, found in (
            ("empty", [each.new for each in measured]),
            ("used", [each.used for each in measured]),
        )
    ]
    names = list(measured[0].processes)
    processes = [(name, [each.processes[name] for each in measured]) for name in names]
    idle = [
        (
            name,
            Samples.of(each.share for each in found).text(2),
            Samples.of(each.pss for each in found).text(),
            Samples.of(each.rss for each in found).text(),
        )
        for name, found in [*processes, ("all", totals)]
    ]
    return BenchResult(
        title="The quiet fleet",
        method=_METHOD,
        checks=checks,
        tables=(
            ResultTable("Start", ("STATE_DIR", "seconds", "CPU seconds"), tuple(starts)),
            ResultTable("Idle", ("process", "% of a core", "PSS, MB", "RSS, MB"), tuple(idle)),
        ),
        data={"rounds": measured},
    )
