"""A trial's progress on standard error: a line when it begins something, then from time to time."""

import time

from ops.runtime.terminal import write_error

_LINE_SECONDS = 5.0


class ProgressLines:
    """Called with what is being done, how much of it is done, and of how much (0: unknown)."""

    def __init__(self) -> None:
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, what: str, done: int, total: int) -> None:
        name, now = what.partition(" (")[0], time.monotonic()
        last, at = self._last
        if name != last or now - at >= _LINE_SECONDS:
            self._last = name, now
            write_error(f"{what}: {done:,}/{total:,}" if total else what)
