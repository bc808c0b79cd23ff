"""Handles the load generator's process: rates in, reports out."""

import json
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, Self

from ops.rig import RunFailed, Service, wait_until

PATIENCE_SECONDS = 20.0
"""For the first answer."""


class Report(NamedTuple):
    """What came of the requests since the last mark; times in seconds."""

    seconds: float
    sent: int
    answered: int
    errors: dict[str, int]
    left: int | None
    cpu_seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Read a line of the generator's."""
        found: dict[str, Any] = json.loads(line)
        return cls(**{name: found[name] for name in cls._fields})


class Sender(Service):
    """The load generator: `with Sender(folder, address, 64) as sender: sender.rate(None)`."""

    def __init__(
        self,
        folder: Path,
        address: str,
        connections: int,
        *options: str,
        cores: Collection[int] = (),
    ) -> None:
        words = ("ops.rig.load_client", address, "--connections", str(connections), *options)
        command = [sys.executable, "-m", *words]
        super().__init__(command, log=folder / "load.log", cores=cores, piped=True)

    def _write(self, line: str) -> None:
        self.check()
        stdin, _ = self.pipes
        stdin.write(line.encode() + b"\n")
        stdin.flush()

    def rate(self, requests_a_second: float | None) -> None:
        """Send so many requests a second; None is as many as are answered."""
        self._write("max" if requests_a_second is None else f"{requests_a_second:.3f}")

    def mark(self) -> None:
        """Count from here."""
        self._write("mark")

    def warm_up(self, seconds: float) -> None:
        """Send as fast as is answered for so long, and until there was an answer."""
        self.rate(None)
        time.sleep(seconds)
        wait_until(lambda: self._counted().answered, PATIENCE_SECONDS, "the server answers")

    def report(self) -> Report:
        """Return the counts; raises RunFailed for any answer but 200, or for none at all."""
        report = self._counted()
        if report.sent and not report.answered:
            raise RunFailed(f"no answer to {report.sent} requests in {report.seconds:.1f} s")
        return report

    def _counted(self) -> Report:
        self._write("report")
        _, stdout = self.pipes
        return self._checked(stdout.readline())

    def _checked(self, line: bytes) -> Report:
        if not line:
            raise RunFailed(f"the load generator ended:\n{self.end_of_output}")
        report = Report.read(line)
        if report.errors:
            raise RunFailed(f"not every answer was a 200: {report.errors}")
        return report
