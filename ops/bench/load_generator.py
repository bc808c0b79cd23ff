"""Controls the process of ops/rig/load_client.py: sets its rate and reads its reports."""

import json
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple, Self

from ops.rig import RunFailed, Service, wait_until

_FIRST_ANSWER_SECONDS: Final = 20.0


class LoadReport(NamedTuple):
    """The requests since the last mark; times in seconds."""

    seconds: float
    sent: int
    answered: int
    errors: dict[str, int]
    cpu_seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    @classmethod
    def read(cls, line: bytes) -> Self:
        return cls(**json.loads(line))


class LoadGenerator(Service):
    """`with LoadGenerator(folder, address, 64) as load: load.rate(None)`."""

    def __init__(
        self,
        folder: Path,
        address: str,
        connections: int,
        *options: str,
        cores: Collection[int] = (),
    ) -> None:
        command = [sys.executable, "-m", "ops.rig.load_client", address]
        command += ["--connections", str(connections), *options]
        super().__init__(command, log=folder / "load.log", cores=cores, piped=True)
        self._paused = False

    def _write(self, line: str) -> None:
        self.check()
        stdin, _ = self.pipes
        stdin.write(line.encode() + b"\n")
        stdin.flush()

    def rate(self, requests_a_second: float | None) -> None:
        """Set the rate; None sends a request as soon as the one before it is answered."""
        self._write("max" if requests_a_second is None else f"{requests_a_second:.3f}")

    def pause(self, *, paused: bool) -> None:
        """Stop sending, or send at the highest rate again."""
        if paused != self._paused:
            self._paused = paused
            self.rate(0 if paused else None)

    def mark(self) -> None:
        """Start counting from zero."""
        self._write("mark")

    def warm_up(self, seconds: float) -> None:
        """Send at the highest rate for some seconds, and until there is an answer."""
        self.rate(None)
        time.sleep(seconds)
        wait_until(lambda: self._counted().answered, _FIRST_ANSWER_SECONDS, "the server answers")

    def report(self) -> LoadReport:
        """Return the counts; raises RunFailed for any answer but 200, or for none at all."""
        report = self._counted()
        if report.sent and not report.answered:
            raise RunFailed(f"no answer to {report.sent} requests in {report.seconds:.1f} s")
        return report

    def _counted(self) -> LoadReport:
        self._write("report")
        _, stdout = self.pipes
        return self._checked(stdout.readline())

    def _checked(self, line: bytes) -> LoadReport:
        if not line:
            raise RunFailed(f"the load generator ended:\n{self.end_of_output}")
        report = LoadReport.read(line)
        if report.errors:
            raise RunFailed(f"not every answer was a 200: {report.errors}")
        return report
