"""A trial's progress on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_LINE_SECONDS = 5.0


class Shown:
    """Called with what is being done, how much of it is done, and of how much (0: not known)."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._live = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeElapsedColumn(),
            console=console,
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show it."""
        name = what.partition(" (")[0]
        if not self._live:
            self._line(name, what, done, total)
            return
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(what, total=total or 1)
        size = {"completed": done, "total": total} if total else {"completed": 0, "total": 1}
        self._progress.update(self._tasks[name], description=what, **size)  # type: ignore[arg-type]

    def _line(self, name: str, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        last, at = self._last
        if name == last and now - at < _LINE_SECONDS:
            return
        self._last = name, now
        sys.stderr.write(f"{what}: {done:,}/{total:,}\n" if total else f"{what}\n")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
