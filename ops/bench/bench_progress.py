"""Progress lines on standard error; standard output is for the results."""

import time
from collections.abc import Iterator

from ops.runtime.terminal import write_error

_BEGAN = time.monotonic()


def show_progress(text: str) -> None:
    """Print a line with the minutes and seconds since the start."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGAN), 60)
    write_error(f"[{minutes:02}:{seconds:02}] {text}")


def rounds(count: int, text: str) -> Iterator[int]:
    """Yield 1 to `count`, each after a progress line."""
    for number in range(1, count + 1):
        show_progress(f"{text}, round {number} of {count}")
        yield number
