"""`python -m ops.rig.clock OFFSET_FILE MODULE [ARG...]`: a process whose wall clock can be moved.

Runs MODULE as `python -m MODULE` does. Its time of day is off by the number of seconds in
OFFSET_FILE, which is read every 50 ms; without the file by 0. The monotonic clock is unchanged, as
when a machine's clock is set.

The library time-machine patches `time.time` and `datetime.now` below Python, whenever they were
imported, for a microsecond a call. Code in other languages (DuckDB, SQLite, the network) keeps the
real time. gRPC's core is such code and exchanges deadlines with its Python side, which therefore
keeps the real time too.
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

from ops.runtime.terminal import write_error

POLL_SECONDS: Final = 0.05
# The modules of gRPC that exchange absolute deadlines with its core.
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
        _remove(offset_file)


def _remove(offset_file: Path) -> None:
    offset_file.unlink(missing_ok=True)


def _write(offset_file: Path, offset: float) -> None:
    new = offset_file.with_name(f"{offset_file.name}.new")
    new.write_text(f"{offset!r}\n")
    new.replace(offset_file)  # a reader never reads half a number


def read(offset_file: Path) -> float:
    """Return the offset in seconds; 0 without a file with a number."""
    try:
        return float(offset_file.read_text())
    except (OSError, ValueError):
        return 0.0


class _Follower(threading.Thread):
    """Sets the wall clock to the offset of the file, again and again."""

    def __init__(self, offset_file: Path) -> None:
        super().__init__(name="clock", daemon=True)
        self._offset_file = offset_file
        self._offset = 0.0
        self._clock = time_machine.travel(time.time(), tick=True).start()

    def follow(self) -> None:
        """Apply the offset of the file now."""
        offset = read(self._offset_file)
        if offset != self._offset:
            self._offset = offset
            self._clock.move_to(time_machine.escape_hatch.time.time() + offset)

    def run(self) -> None:
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
    try:
        _, offset_file, module, *arguments = sys.argv
    except ValueError:
        write_error("usage: python -m ops.rig.clock OFFSET_FILE MODULE [ARG...]")
        sys.exit(2)
    follower = _Follower(Path(offset_file))
    _leave_grpc_the_real_time()
    follower.follow()
    follower.start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
