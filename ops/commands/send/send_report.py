"""What a run of `gatekeeper send` prints, and the file of rejected lines."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ops.commands.console import PlainConsole
from ops.commands.failure import CommandFailed
from ops.commands.send.line_sender import LineVerdict
from ops.commands.send.source_file import is_regular
from ops.commands.send.transaction_lines import TransactionLine
from ops.runtime.terminal import write_error, write_json, write_line

PLAIN_SECONDS = 5.0
"""How often progress is printed if standard error is not a terminal."""


class RejectedLines:
    """The file of rejected lines: opened before the first line is sent, emptied by the first.

    One JSON object a line: `line`, `status`, `message`, `error`, and `body`, the line as it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._new = not path.exists()
        try:
            self.file: IO[str] = path.open("a", buffering=1, encoding="utf-8")
        except OSError as error:
            reason = f"rejected lines cannot be written to {path}: {error.strerror}"
            raise CommandFailed(f"{reason}; --rejected names another file") from error
        self._regular = is_regular(self.file)
        self._written = False
        self.outdated = False
        """Whether a complete run has rejected nothing: the lines are those of an earlier run."""

    def write(self, line: TransactionLine, verdict: LineVerdict) -> None:
        if not self._written and self._regular:
            self.file.truncate(0)
        self._written = True
        body = None if line.body is None else line.body.decode(errors="backslashreplace")
        record = {"line": line.number, **verdict._asdict(), "body": body}
        self.file.write(json.dumps(record) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; remove one without lines of this run, if no earlier run needs it."""
        with contextlib.suppress(OSError):  # already raised by `write`
            self.file.close()
        useless = not self._written and (self._new or self.outdated)
        if useless and self._regular and not self.path.is_symlink():
            self.path.unlink(missing_ok=True)


class SendReport:
    """Counts of one run: a progress bar on a terminal, otherwise lines on standard error."""

    def __init__(self, size: int, rejected_lines: RejectedLines) -> None:
        self.accepted = self.rejected = self.retried = 0
        self._size = size
        self._rejected_lines = rejected_lines
        self._started = self._printed = time.monotonic()
        console = PlainConsole(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("sending", total=size or 1)
        self._end = 0

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress during the block."""
        with self._progress:
            yield
        self._rejected_lines.outdated = bool(self.accepted) and not self.rejected

    def on_verdict(self, line: TransactionLine, verdict: LineVerdict) -> None:
        if verdict.error is None:
            self.accepted += 1
        else:
            self.rejected += 1
            self._rejected_lines.write(line, verdict)
        self._end = max(self._end, line.end)
        self._show()

    def on_retry(self, error: str) -> None:
        self.retried += 1
        self._show(f", retrying: {error}")

    def _show(self, retrying: str = "") -> None:
        counts = f"{self.accepted:,} accepted, {self.rejected:,} rejected"
        text = f"{counts}, {self._rate():,.0f}/s{retrying}"
        self._progress.update(self._task, completed=self._end, description=text)
        now = time.monotonic()
        if self._progress.disable and now - self._printed > PLAIN_SECONDS:
            self._printed = now
            write_error(f"{text}, {100 * self._end / (self._size or 1):.0f} %")

    def _rate(self) -> float:
        return (self.accepted + self.rejected) / max(time.monotonic() - self._started, 1e-9)

    def print_summary(self, *, as_json: bool) -> None:
        if as_json:
            self._write_json()
            return
        numbers = {
            "accepted": f"{self.accepted:,}",
            "rejected": f"{self.rejected:,}",
            "retried": f"{self.retried:,}",
            "seconds": f"{time.monotonic() - self._started:,.1f}",
            "per second": f"{self._rate():,.0f}",
        }
        table = Table(header_style="bold")
        for name in numbers:
            table.add_column(name, justify="right")
        table.add_row(*numbers.values())
        PlainConsole().print(table)
        if self.rejected:
            write_line(f"the rejected lines and their errors: {self._rejected_lines.path}")

    def _write_json(self) -> None:
        write_json(
            {
                "accepted": self.accepted,
                "rejected": self.rejected,
                "retried": self.retried,
                "seconds": round(time.monotonic() - self._started, 3),
                "rejected_lines": str(self._rejected_lines.path) if self.rejected else None,
            }
        )
