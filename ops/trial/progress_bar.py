"""A trial's progress on standard error: a bar on a terminal, otherwise a line from time to time."""

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_LINE_SECONDS = 5.0


class ProgressBar:
    """Called with what is being done, how much of it is done, and of how much (0: unknown)."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._terminal = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeElapsedColumn(),
            console=console,
            disable=not self._terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, what: str, done: int, total: int) -> None:
        name = what.partition(" (")[0]
        if not self._terminal:
            self._line(name, f"{what}: {done:,}/{total:,}" if total else what)
            return
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(what, total=total or 1)
        finished = done if total else 0
        task = self._tasks[name]
        self._progress.update(task, description=what, completed=finished, total=total or 1)

    def _line(self, name: str, text: str) -> None:
        now = time.monotonic()
        last, at = self._last
        if name != last or now - at >= _LINE_SECONDS:
            self._last = name, now
            sys.stderr.write(f"{text}\n")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
