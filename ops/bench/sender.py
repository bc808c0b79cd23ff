"""Handles the load generator's process: rates in, reports out."""

import json
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, Self

from ops.rig.processes import Process, RunFailed, wait_until

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


class Sender(Process):
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
        super().__init__(folder, "load", *words, variables={}, cores=cores, piped=True)

    def _say(self, line: str) -> None:
        self.check()
        assert self.opened.stdin is not None  # noqa: S101  # it is piped
        self.opened.stdin.write(line.encode() + b"\n")
        self.opened.stdin.flush()

    def rate(self, requests_a_second: float | None) -> None:
        """Send so many requests a second; None is as many as are answered."""
        self._say("max" if requests_a_second is None else f"{requests_a_second:.3f}")

    def mark(self) -> None:
        """Count from here."""
        self._say("mark")

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
        self._say("report")
        assert self.opened.stdout is not None  # noqa: S101  # it is piped
        return self._checked(self.opened.stdout.readline())

    def _checked(self, line: bytes) -> Report:
        if not line:
            raise RunFailed(f"the load generator ended:\n{self.end_of_log()}")
        report = Report.read(line)
        if report.errors:
            raise RunFailed(f"not every answer was a 200: {report.errors}")
        return report
