"""The README's load, 1,000 users of locust against a whole fleet: the work of `bench locust`."""

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from ops.bench.figures import Samples
from ops.bench.measured_fleet import MeasuredFleet
from ops.bench.progress import say
from ops.bench.results import Check, Grid, Plot, Result
from ops.fleet.config import ROOT
from ops.rig import RunFailed

_METHOD: Final = """\
`locust --headless` with the repository's locustfile.py against the fleet of supervisord.conf as
committed, with ports and folders of its own. Locust, a Python program too, takes about as much
processor time as the fleet and shares its cores: its rate says that nothing fails under a crowd of
users, not how fast the gate is."""


class Size(NamedTuple):
    """How many users, how many more each second, for how long."""

    users: int = 1_000
    spawn_rate: int = 50
    seconds: int = 90


QUICK: Final = Size(10, 10, 4)
_PREFIX: Final = "locust"
_COLUMNS: Final = (
    ("requests", "Request Count"),
    ("failures", "Failure Count"),
    ("requests/s", "Requests/s"),
    ("p50 ms", "50%"),
    ("p95 ms", "95%"),
    ("p99 ms", "99%"),
)


def run(size: Size, reports: Path | None = None) -> Result:
    """Let the users loose; CSV and HTML go to `reports`, where that is given."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary, MeasuredFleet() as fleet:
        folder = (reports or Path(temporary)).absolute()  # locust runs in it
        folder.mkdir(parents=True, exist_ok=True)
        fleet.make_tables()
        say(f"locust: {size.users:,} users for {size.seconds} s")
        _locust(fleet.address, folder, size)
        total = int(_read(folder / f"{_PREFIX}_stats.csv")[-1]["Request Count"])
        say("locust: waiting until everything is applied")
        fleet.drained(300)
        fleet.fresh(total)
        return _result(folder, size, time.monotonic() - began)


def _locust(address: str, folder: Path, size: Size) -> None:
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


def _result(folder: Path, size: Size, seconds: float) -> Result:
    stats = _read(folder / f"{_PREFIX}_stats.csv")
    failures = int(stats[-1]["Failure Count"])
    if failures:
        raise RunFailed(f"{failures} requests failed; see {folder}")
    rows = tuple(
        (each["Name"], *(f"{float(each[column]):,.0f}" for _, column in _COLUMNS)) for each in stats
    )
    return Result(
        bench="locust",
        title=f"Locust: {size.users:,} users",
        method=_METHOD,
        checks=(Check("locust_failures", Samples((float(failures),))),),
        grids=(
            Grid(
                f"{size.users:,} users, {size.seconds} s",
                ("request", *(name for name, _ in _COLUMNS)),
                rows,
            ),
        ),
        plots=_plots(_read(folder / f"{_PREFIX}_stats_history.csv")),
        seconds=seconds,
        data={"stats": stats},
    )


def _plots(history: list[dict[str, str]]) -> tuple[Plot, ...]:
    total = [each for each in history if each["Name"] == "Aggregated"]
    began = float(total[0]["Timestamp"])

    def line(column: str) -> tuple[tuple[float, float], ...]:
        return tuple(
            (float(each["Timestamp"]) - began, float(each[column]))
            for each in total
            if each[column] not in {"", "N/A"}
        )

    return (
        Plot(
            "locust_rate",
            "Users and requests",
            "seconds",
            "",
            {"users": line("User Count"), "requests/s": line("Requests/s")},
        ),
        Plot(
            "locust_latency",
            "Answer times",
            "seconds",
            "ms",
            {"p50": line("50%"), "p99": line("99%")},
        ),
    )
