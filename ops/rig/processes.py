"""Processes that a benchmark starts: its own, pinned to cores, read from outside, ended with it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ops.fleet.config import ROOT
from ops.fleet.ports import listening

_TICKS = os.sysconf("SC_CLK_TCK")
_POLL_SECONDS = 0.02
_STOP_SECONDS = 40.0
_SHOWN_LINES = 15


class RunFailed(Exception):
    """Something failed during a run, so its measurements are void; the text has the reason."""


def wait_until[T](condition: Callable[[], T], seconds: float, what: str) -> T:
    """Poll until the condition is true and return its value; raises RunFailed after `seconds`."""
    give_up = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > give_up:
            raise RunFailed(f"not within {seconds:g} s: {what}")
        time.sleep(_POLL_SECONDS)
    return value


class Running:
    """A process's numbers, as Linux has them for whoever asks."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_seconds(self) -> float:
        """Return the processor time used so far, all threads, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """Return the proportional set size in bytes: what would be free without the process."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        raise RunFailed(f"/proc/{self.pid}/smaps_rollup has no Pss")


class Process(Running):
    """`python -m module …` in its own group, its output in a file, ended with the block."""

    def __init__(  # noqa: PLR0913  # what a process is made of, by keyword
        self,
        folder: Path,
        name: str,
        *arguments: str,
        variables: Mapping[str, str],
        cores: Collection[int] = (),
        listener: socket.socket | None = None,
        piped: bool = False,
    ) -> None:
        super().__init__(0)
        self.name = name
        self._command = [sys.executable, "-m", *arguments]
        self._environ = {**os.environ, **variables}
        self._cores = cores
        self._listener = listener
        self._piped = piped
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        stdin: Any = subprocess.PIPE if self._piped else subprocess.DEVNULL
        if self._listener is not None:
            stdin = self._listener.fileno()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own modules
                self._command,
                cwd=ROOT,
                env=self._environ,
                stdin=stdin,
                stdout=subprocess.PIPE if self._piped else log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid
        if self._cores:
            os.sched_setaffinity(self.pid, self._cores)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it: with SIGTERM and time to drain, at once when the run has failed."""
        if kind is None:
            self.stop()
        self._kill()

    @property
    def opened(self) -> "subprocess.Popen[bytes]":
        """The process itself."""
        if self._process is None:
            raise RunFailed(f"{self.name} was not started")
        return self._process

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.opened.poll() is None

    def check(self) -> None:
        """Raise RunFailed, with the end of its output, when it has ended by itself."""
        if not self.alive:
            raise RunFailed(
                f"{self.name} ended with {self.opened.returncode}:\n{self.end_of_log()}"
            )

    def end_of_log(self) -> str:
        """Return the last lines that it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:])

    def wait_for_port(self, address: str, seconds: float = 60) -> None:
        """Return when `host:port` accepts connections; raises RunFailed when it does not."""

        def up() -> bool:
            self.check()
            return listening(address)

        wait_until(up, seconds, f"{self.name} listens at {address}")

    def stop(self) -> None:
        """End it as an operator does; raises RunFailed when it does not heed that."""
        if not self.alive:
            return
        self.opened.send_signal(signal.SIGTERM)
        try:
            self.opened.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{self.name} did not end:\n{self.end_of_log()}") from None

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.opened.wait(10)
        for pipe in (self.opened.stdin, self.opened.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
