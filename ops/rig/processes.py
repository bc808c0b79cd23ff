"""Processes that run for a while: started, waited for and ended together with their children."""

import asyncio
import contextlib
import inspect
import os
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self, overload

import psutil

from ops.fleet.config import ROOT
from ops.fleet.ports import free_ports, listening

PATIENCE_SECONDS: Final = 120.0
"""How long a test or a trial waits for something: on a busy machine it takes its time."""
_POLL_SECONDS = 0.02
_SHOWN_LINES = 40


class RunFailed(Exception):
    """A process, a command or a wait failed; the text has the end of the output."""


def free_port(host: str = "127.0.0.1") -> int:
    return free_ports(1, host)[0]


def wait_until[T](
    condition: Callable[[], T | Literal[False] | None],
    seconds: float = PATIENCE_SECONDS,
    what: str = "",
) -> T:
    """Poll until `condition()` is true and return its value; raises RunFailed when time is up."""
    give_up = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > give_up:
            raise RunFailed(_too_late(condition, seconds, what, value))
        time.sleep(_POLL_SECONDS)
    return value


@overload
async def eventually[T](
    condition: Callable[[], Coroutine[Any, Any, T]],
    seconds: float = PATIENCE_SECONDS,
    what: str = "",
) -> T: ...
@overload
async def eventually[T](
    condition: Callable[[], T], seconds: float = PATIENCE_SECONDS, what: str = ""
) -> T: ...
async def eventually(
    condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS, what: str = ""
) -> Any:
    """Do as `wait_until` does without blocking the loop; the condition may be a coroutine."""
    give_up = time.monotonic() + seconds
    while True:
        answer = condition()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() > give_up:
            raise RunFailed(_too_late(condition, seconds, what, value))
        await asyncio.sleep(_POLL_SECONDS)


def _too_late(condition: object, seconds: float, what: str, value: object) -> str:
    name = what or getattr(condition, "__name__", repr(condition))
    return f"not within {seconds:g} s: {name} (last value: {value!r})"


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far: all threads, user and system."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def memory_bytes(pid: int) -> int:
    """Return the proportional set size: what would be free without the process."""
    return int(psutil.Process(pid).memory_full_info().pss)


class Service:
    """A subprocess in its own process group, its output in a file, ended with the block.

    `with Service([sys.executable, "-m", "server"], PORT="8081") as server:` runs with `environ`, by
    default that of this process, plus the keywords. A `piped` service has pipes for standard input
    and output; `log` then has standard error alone.
    """

    def __init__(  # noqa: PLR0913  # all by keyword
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path = ROOT,
        environ: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        piped: bool = False,
        cores: Collection[int] = (),
        log: Path | None = None,
        **variables: str,
    ) -> None:
        self.command = [str(part) for part in command]
        self._cwd = cwd
        self._environ = {**(os.environ if environ is None else environ), **variables}
        self._stdin, self._piped = stdin, piped
        self._cores = cores
        self.log = log or self._temporary_log()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def module(cls, name: str, *arguments: str, **variables: str) -> Self:
        """Return `python -m name arguments…`."""
        return cls([sys.executable, "-m", name, *arguments], environ={**os.environ, **variables})

    def _temporary_log(self) -> Path:
        descriptor, name = tempfile.mkstemp(prefix="service-", suffix=".log")
        os.close(descriptor)
        weakref.finalize(self, Path(name).unlink, missing_ok=True)
        return Path(name)

    def start(self) -> Self:
        """Start the process; again, if it has ended."""
        if self.alive:
            raise RunFailed(f"{self} is still running")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own commands
                self.command,
                cwd=self._cwd,
                env=self._environ,
                stdin=subprocess.PIPE if self._piped else self._stdin,
                stdout=subprocess.PIPE if self._piped else log,
                stderr=log,
                start_new_session=True,
            )
        if self._cores:
            psutil.Process(self.pid).cpu_affinity(list(self._cores))
        return self

    def __str__(self) -> str:
        return " ".join(self.command)

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RunFailed(f"{self} was not started")
        return self._process

    @property
    def pid(self) -> int:
        """The process id, which is also that of its group."""
        return self.process.pid

    @property
    def pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Standard input and output of a `piped` service."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise RunFailed(f"{self} has no pipes")
        return stdin, stdout

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """Everything written so far to standard output and standard error."""
        return self.log.read_text(errors="replace")

    @property
    def end_of_output(self) -> str:
        return "\n".join(self.output.splitlines()[-_SHOWN_LINES:])

    def check(self) -> None:
        """Raise RunFailed, with the end of its output, when it does not run."""
        if not self.alive:
            raise RunFailed(f"{self} ended: {self.process.returncode}\n{self.end_of_output}")

    def wait_for_port(self, address: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Return when `host:port` accepts connections; raises RunFailed when it does not."""

        def accepts() -> bool:
            self.check()
            return listening(address)

        wait_until(accepts, seconds, f"{self} listens at {address}")

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def memory_bytes(self) -> int:
        return memory_bytes(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the process alone, not to its children."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until the process ends and return its exit status; raises RunFailed."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise RunFailed(
                f"{self} still runs after {seconds:g} s:\n{self.end_of_output}"
            ) from None

    def stop(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Send SIGTERM and return the exit status; kills it and raises RunFailed if it goes on."""
        if self.alive:
            self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """Send SIGKILL to the whole group and reap the process."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()
