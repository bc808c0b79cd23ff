"""`python -m ops.rig.clock OFFSET_FILE MODULE [ARG...]`: a process whose wall clock can be moved.

Runs MODULE as `python -m MODULE` does. What it takes for the time of day is off by the number of
seconds in OFFSET_FILE, read every 50 ms; no file is 0. The monotonic clock goes on untouched, as
it does when a machine's clock is set.

The library time-machine does it below Python: every reference to `time.time` and
`datetime.now` follows, whenever it was imported, for a microsecond a call. Code in other languages
(DuckDB, SQLite, the network) keeps the real time. For gRPC, whose core is such code, its Python
side is given the real time too: the two exchange deadlines.
"""

import asyncio
import contextlib
import importlib
import importlib.util
import runpy
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import time_machine

POLL_SECONDS: Final = 0.05
# The modules of gRPC that compute an absolute deadline for its core, or get one from there.
_EXCHANGE_DEADLINES: Final = (
    "grpc._channel",
    "grpc._common",
    "grpc._cython.cygrpc",
    "grpc._server",
    "grpc._utilities",
    "grpc.aio._utils",
)


async def jump(offset_file: Path, offset: float, seconds: float) -> None:
    """Move the clocks that follow the file by `offset` seconds, and back after `seconds`.

    One jump at a time for a file.
    """
    try:
        await asyncio.to_thread(_write, offset_file, offset)
        await asyncio.sleep(seconds)
    finally:
        _forget(offset_file)


def _forget(offset_file: Path) -> None:
    offset_file.unlink(missing_ok=True)


def _write(offset_file: Path, offset: float) -> None:
    beside = offset_file.with_name(f"{offset_file.name}.new")
    beside.write_text(f"{offset!r}\n")
    beside.replace(offset_file)  # a reader never sees half a number


def read(offset_file: Path) -> float:
    """Return the offset in seconds; 0 where there is no file, or none that holds a number."""
    try:
        return float(offset_file.read_text())
    except (OSError, ValueError):
        return 0.0


class _Follower(threading.Thread):
    """Keeps the wall clock as far off as the file says."""

    def __init__(self, offset_file: Path) -> None:
        super().__init__(name="clock", daemon=True)
        self._offset_file = offset_file
        self._offset = 0.0
        self._clock = time_machine.travel(time.time(), tick=True).start()

    def follow(self) -> None:
        """Take the offset over from the file, now."""
        offset = read(self._offset_file)
        if offset != self._offset:
            self._offset = offset
            self._clock.move_to(time_machine.escape_hatch.time.time() + offset)

    def run(self) -> None:
        """Follow the file for as long as the process lives."""
        while True:
            self.follow()
            time.sleep(POLL_SECONDS)


def _leave_grpc_the_real_time() -> None:
    if importlib.util.find_spec("grpc") is None:
        return
    real = SimpleNamespace(**{**vars(time), "time": time_machine.escape_hatch.time.time})
    for name in _EXCHANGE_DEADLINES:
        with contextlib.suppress(ImportError):
            vars(importlib.import_module(name))["time"] = real


def main() -> None:
    """Run the module of the command line under the clock of the file."""
    try:
        _, offset_file, module, *arguments = sys.argv
    except ValueError:
        sys.stderr.write("usage: python -m ops.rig.clock OFFSET_FILE MODULE [ARG...]\n")
        sys.exit(2)
    follower = _Follower(Path(offset_file))
    _leave_grpc_the_real_time()
    follower.follow()
    follower.start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
