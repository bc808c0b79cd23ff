"""Locust's 1,000 users against a whole fleet: `gatekeeper bench locust`."""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from ops.bench.bench_progress import show_progress
from ops.bench.measured_fleet import measured_fleet
from ops.bench.results import BenchResult, Plot, Points, ResultTable, TargetCheck
from ops.bench.samples import Samples
from ops.fleet.config import ROOT
from ops.rig import RunFailed

_METHOD: Final = """\
`locust --headless` runs the repository's locustfile.py against the fleet of supervisord.conf, with
its own ports and folders. Locust is a Python program too. It takes about as much processor time as
the fleet and shares its cores. So its rate shows that nothing fails with many users, not how fast
the server is."""
_PREFIX: Final = "locust"
_DRAIN_SECONDS: Final = 300
_COLUMNS: Final = {
    "requests": "Request Count",
    "failures": "Failure Count",
    "requests/s": "Requests/s",
    "p50 ms": "50%",
    "p95 ms": "95%",
    "p99 ms": "99%",
}


class LocustSize(NamedTuple):
    users: int = 1_000
    spawn_rate: int = 50
    """Users added each second."""
    seconds: int = 90


_QUICK: Final = LocustSize(10, 10, 20)


def run(reports: Path | None, *, quick: bool) -> BenchResult:
    """Run the users; locust writes its CSV and HTML to `reports`, if given."""
    size = _QUICK if quick else LocustSize()
    with tempfile.TemporaryDirectory() as temporary, measured_fleet() as fleet:
        folder = (reports or Path(temporary)).absolute()  # locust runs in it
        folder.mkdir(parents=True, exist_ok=True)
        show_progress(f"locust: {size.users:,} users for {size.seconds} s")
        _run_locust(fleet.address, folder, size)
        stats = _read(folder / f"{_PREFIX}_stats.csv")
        show_progress("locust: waiting until everything is applied")
        fleet.drain(_DRAIN_SECONDS)
        fleet.totals_after(int(stats[-1]["Request Count"]))
        return result_of(stats, _read(folder / f"{_PREFIX}_stats_history.csv"), size)


def _run_locust(address: str, folder: Path, size: LocustSize) -> None:
    command = [
        *(sys.executable, "-m", "locust", "-f", str(ROOT / "locustfile.py"), "--headless"),
        *("-u", str(size.users), "-r", str(size.spawn_rate), "-t", f"{size.seconds}s"),
        *("--host", f"http://{address}", "--csv", str(folder / _PREFIX)),
        *("--html", str(folder / f"{_PREFIX}.html"), "--only-summary", "--stop-timeout", "30"),
    ]
    done = subprocess.run(  # noqa: S603  # ours
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=size.seconds + 120,
        check=False,
    )
    if done.returncode:
        raise RunFailed(f"locust ended with {done.returncode}:\n{done.stderr[-2000:]}")


def _read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def result_of(
    stats: list[dict[str, str]], history: list[dict[str, str]], size: LocustSize
) -> BenchResult:
    """Return the report of locust's rows; raises RunFailed unless all requests succeeded. Pure."""
    if not int(stats[-1]["Request Count"]):
        raise RunFailed(f"no request was answered in {size.seconds} s: the machine is too busy")
    failures = int(stats[-1]["Failure Count"])
    if failures:
        raise RunFailed(f"{failures} requests failed: {stats}")
    rows = tuple(
        (each["Name"], *(f"{float(each[column]):,.0f}" for column in _COLUMNS.values()))
        for each in stats
    )
    title = f"{size.users:,} users, {size.seconds} s"
    return BenchResult(
        title=f"Locust: {size.users:,} users",
        method=_METHOD,
        checks=(TargetCheck("locust_failures", Samples.of([failures])),),
        tables=(ResultTable(title, ("request", *_COLUMNS), rows),),
        plots=_plots([each for each in history if each["Name"] == "Aggregated"]),
        data={"stats": stats},
    )


def _plots(history: list[dict[str, str]]) -> tuple[Plot, ...]:
    def line(column: str) -> Points:
        return tuple(
            (float(each["Timestamp"]) - began, float(each[column]))
            for each in history
            if each[column] not in {"", "N/A"}
        )

    began = float(history[0]["Timestamp"])
    rates = {"users": line("User Count"), "requests/s": line("Requests/s")}
    latencies = {"p50": line("50%"), "p99": line("99%")}
    return (
        Plot("locust_rate", "Users and requests", "seconds", "", rates),
        Plot("locust_latency", "Answer times", "seconds", "ms", latencies),
    )
