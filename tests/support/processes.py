"""Starts the processes that a test needs, waits for them, and ends every one of them."""

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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ops.fleet.ports import free_ports, listening

ROOT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.05


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now."""
    return free_ports(1, host)[0]


def wait_until[T](condition: Callable[[], T], deadline: float = 10, what: str = "") -> T:
    """Poll until `condition()` is true and return its value.

    Fails the test `deadline` seconds from now, naming `what` and the last value. An exception of
    the condition is the test's.
    """
    give_up = time.monotonic() + deadline
    while not (value := condition()):
        if time.monotonic() > give_up:
            raise AssertionError(_late(condition, deadline, what, value))
        time.sleep(_POLL_SECONDS)
    return value


async def eventually[T](
    condition: Callable[[], T | Awaitable[T]], deadline: float = 10, what: str = ""
) -> T:
    """Do as `wait_until` does in a test that runs on the loop; the condition may be a coroutine."""
    give_up = time.monotonic() + deadline
    while True:
        answer = condition()
        value: Any = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value  # type: ignore[no-any-return]
        if time.monotonic() > give_up:
            raise AssertionError(_late(condition, deadline, what, value))
        await asyncio.sleep(_POLL_SECONDS)


def _late(condition: object, deadline: float, what: str, value: object) -> str:
    name = what or getattr(condition, "__name__", repr(condition))
    return f"not within {deadline:g} s: {name} (last value: {value!r})"


class Service:
    """A subprocess in its own process group, its output in a file, ended with the block.

    `with Service([sys.executable, "-m", "server"], PORT="8081") as server:` runs with the test's
    environment plus the keywords, in the repository's root unless `cwd` says otherwise.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path = ROOT,
        environ: Mapping[str, str] | None = None,
        stop_deadline: float = 15,
        stdin: int = subprocess.DEVNULL,
        **variables: str,
    ) -> None:
        self.command = [str(part) for part in command]
        self._cwd = cwd
        self._environ = {**(os.environ if environ is None else environ), **variables}
        self._stop_deadline = stop_deadline
        self._stdin = stdin
        descriptor, name = tempfile.mkstemp(prefix="service-", suffix=".log")
        os.close(descriptor)
        self._log = Path(name)
        weakref.finalize(self, self._log.unlink, missing_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def module(cls, name: str, *arguments: str, **variables: str) -> Self:
        """Return `python -m name arguments…`."""
        return cls([sys.executable, "-m", name, *arguments], environ={**os.environ, **variables})

    def start(self) -> Self:
        """Start the process, again if it has ended."""
        assert not self.alive, "still running"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self._cwd,
                env=self._environ,
                stdin=self._stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """Everything written so far to standard output and standard error."""
        return self._log.read_text(errors="replace")

    def wait_for_port(self, address: str, deadline: float = 20) -> None:
        """Return when `host:port` accepts connections; fail with the output when it does not."""

        def up() -> bool:
            assert self.alive, f"{self.command} ended:\n{self.output}"
            return listening(address)

        wait_until(up, deadline, f"{self.command} listens at {address}")

    def signal(self, number: int) -> None:
        """Send a signal to the process alone, not to its children."""
        os.kill(self.pid, number)

    def wait(self, deadline: float = 15) -> int:
        """Wait for the process's own end and return its exit status."""
        assert self._process is not None, "not started"
        try:
            return self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.command} runs on after {deadline} s:\n{self.output}"
            ) from None

    def stop(self) -> int:
        """End it as an operator does: SIGTERM, and SIGKILL to the group when that is not heeded."""
        if self.alive:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(AssertionError):
                self.wait(self._stop_deadline)
        self.kill()
        return self.wait()

    def kill(self) -> None:
        """SIGKILL the whole group and reap the process."""
        assert self._process is not None, "not started"
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

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
