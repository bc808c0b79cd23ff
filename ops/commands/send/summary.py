"""What a run of `gatekeeper send` shows: its progress, its summary, and the file of what failed."""

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from ops.commands.send.client import Verdict
from ops.commands.send.source import Line

PLAIN_SECONDS = 5.0
"""Where nobody watches a terminal, a line so often."""


class Rejected:
    """The file of rejected lines, made with the first of them; an older run's goes when none is.

    One JSON object a line: `line`, `status`, `message`, `error`, and `body`, the line as it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def write(self, line: Line, verdict: Verdict) -> None:
        """Add a line and its verdict."""
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8")
        body = None if line.body is None else line.body.decode(errors="backslashreplace")
        record = {"line": line.number, **verdict._asdict(), "body": body}
        self._file.write(json.dumps(record) + "\n")

    def close(self, *, complete: bool) -> None:
        """Close the file; a complete run without rejections leaves none."""
        if self._file is not None:
            self._file.close()
        elif complete:
            self.path.unlink(missing_ok=True)


class Report:
    """Counts of one run, shown while it goes on: a bar on a terminal, else lines on stderr."""

    def __init__(self, size: int, rejected: Rejected) -> None:
        self.accepted = self.rejected = self.retried = 0
        self.complete = False
        self._size = size
        self._file = rejected
        self._began = self._shown = time.monotonic()
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = TaskID(0)
        self._end = 0

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task("sending", total=self._size or 1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.complete = kind is None
        self._progress.stop()
        self._file.close(complete=self.complete)

    def told(self, line: Line, verdict: Verdict) -> None:
        """Count a verdict, and keep the line where it was rejected."""
        if verdict.error is None:
            self.accepted += 1
        else:
            self.rejected += 1
            self._file.write(line, verdict)
        self._end = max(self._end, line.end)
        self._show("")

    def tried_again(self, why: str) -> None:
        """Count a try that did not succeed, and say why."""
        self.retried += 1
        self._show(f", trying again: {why}")

    def _show(self, trouble: str) -> None:
        now = time.monotonic()
        rate = self._rate(now)
        text = f"{self.accepted:,} accepted, {self.rejected:,} rejected, {rate:,.0f}/s{trouble}"
        self._progress.update(self._task, completed=self._end, description=text)
        if self._progress.disable and now - self._shown > PLAIN_SECONDS:
            self._shown = now
            share = 100 * self._end / self._size
            sys.stderr.write(f"{text}, {share:.0f} %\n")

    def _rate(self, now: float) -> float:
        return (self.accepted + self.rejected) / max(now - self._began, 1e-9)

    def summary(self) -> None:
        """Print the counts."""
        seconds = time.monotonic() - self._began
        rate = self._rate(time.monotonic())
        numbers: dict[str, Any] = {
            "accepted": f"{self.accepted:,}",
            "rejected": f"{self.rejected:,}",
            "retried": f"{self.retried:,}",
            "seconds": f"{seconds:,.1f}",
            "per second": f"{rate:,.0f}",
        }
        table = Table(header_style="bold")
        for name in numbers:
            table.add_column(name, justify="right")
        table.add_row(*numbers.values())
        Console(highlight=False).print(table)
        if self.rejected:
            sys.stdout.write(f"the rejected lines and why: {self._file.path}\n")
