"""The machine that a benchmark ran on, and the cores it may use."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ops.fleet.config import ROOT


class Cores(NamedTuple):
    """Which cores the measured process gets, and which everything around it."""

    measured: frozenset[int]
    others: frozenset[int]

    @classmethod
    def split(cls) -> "Cores":
        """Give the measured process the first core alone; with one core, all share it."""
        every = sorted(os.sched_getaffinity(0))
        first, rest = every[0], every[1:] or every
        return cls(frozenset({first}), frozenset(rest))


def describe() -> dict[str, str]:
    """Say what it is: the processor, cores, memory, system, Python, commit and time."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        done = subprocess.run(  # noqa: S603  # git
            command, cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def load_average() -> float:
    """Return how many processes wanted to run in the last minute, on average."""
    return os.getloadavg()[0]
