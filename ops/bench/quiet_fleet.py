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
one, as `ops/up` starts it where the environment is made. The last one then gets no request: the
processor time of all its processes, supervisord among them, is that of five minutes, from ten
seconds after the start. Memory is read at the end. The proportional set size (PSS) counts a shared
page once, the resident set size (RSS) once for each process that has it."""
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


class Starts(NamedTuple):
    """A start with an empty STATE_DIR, and one with a used one."""

    new: Start
    used: Start


class QuietFindings(NamedTuple):
    """The starts of all rounds; the processes of the last fleet by name."""

    starts: Sequence[Starts]
    processes: Mapping[str, IdleProcess]


def run(*, quick: bool) -> BenchResult:
    size = _QUICK if quick else QuietSize()
    starts: list[Starts] = []
    processes: Mapping[str, IdleProcess] = {}
    for number in rounds(size.rounds, "quiet"):
        found, processes = _round(size, idle=number == size.rounds)
        starts.append(found)
    return result_of(QuietFindings(starts, processes))


def _round(size: QuietSize, *, idle: bool) -> tuple[Starts, Mapping[str, IdleProcess]]:
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
            processes = _idle(fleet, size) if idle else {}
            fleet.end()
        except BaseException:
            fleet.kill()
            raise
    return Starts(new, used), processes


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


def _idle(fleet: DisposableFleet, size: QuietSize) -> dict[str, IdleProcess]:
    time.sleep(size.settle_seconds)
    pids = _pids(fleet)
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    began = time.monotonic()
    time.sleep(size.idle_seconds)
    found = {}
    for name, pid in pids.items():
        share = (cpu_seconds(pid) - before[name]) / (time.monotonic() - began)
        memory = psutil.Process(pid).memory_full_info()
        found[name] = IdleProcess(100 * share, memory.pss / 1e6, memory.rss / 1e6)
    return found


def result_of(measured: QuietFindings) -> BenchResult:
    """Return the report of these findings. Pure."""
    starts = {
        "empty": [each.new for each in measured.starts],
        "used": [each.used for each in measured.starts],
    }
    total = IdleProcess(*map(sum, zip(*measured.processes.values(), strict=True)))
    checks = (
        TargetCheck("quiet_start", Samples.of(each.seconds for each in starts["used"])),
        TargetCheck("quiet_idle", Samples.of([total.share])),
        TargetCheck("quiet_memory", Samples.of([total.pss])),
    )
    start_rows = tuple(
        (
            name,
            Samples.of(each.seconds for each in found).text(1),
            Samples.of(each.cpu for each in found).text(1),
        )
        for name, found in starts.items()
    )
    idle_rows = tuple(
        (name, f"{each.share:.2f}", f"{each.pss:.0f}", f"{each.rss:.0f}")
        for name, each in (*measured.processes.items(), ("all", total))
    )
    return BenchResult(
        title="The quiet fleet",
        method=_METHOD,
        checks=checks,
        tables=(
            ResultTable("Start", ("STATE_DIR", "seconds", "CPU seconds"), start_rows),
            ResultTable("Idle", ("process", "% of a core", "PSS, MB", "RSS, MB"), idle_rows),
        ),
        data={"starts": measured.starts, "processes": measured.processes},
    )
