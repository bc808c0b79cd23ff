"""The machine that a benchmark runs on, and the cores that it may use."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

import psutil

from ops.fleet.config import ROOT


class Cores(NamedTuple):
    """The cores of the measured process, and those of everything else."""

    measured: frozenset[int]
    others: frozenset[int]

    @classmethod
    def split(cls) -> Self:
        """Give the measured process the first core alone; with one core, all share it."""
        first, *rest = sorted(os.sched_getaffinity(0))
        return cls(frozenset({first}), frozenset(rest or {first}))


def describe() -> dict[str, str]:
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _processor() -> str:
    """Return the model; neither psutil nor the standard library has it on Linux."""
    file = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", file.read_text()) if file.exists() else None
    return found[1] if found else platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        return subprocess.check_output(command, cwd=ROOT, text=True).strip()  # noqa: S603  # git
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
