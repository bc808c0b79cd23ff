"""Says on standard error what a benchmark is at; its result has standard output for itself."""

import sys
import time

_BEGAN = time.monotonic()


def say(text: str) -> None:
    """Write a line, with the time since the start."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGAN), 60)
    sys.stderr.write(f"[{minutes:02}:{seconds:02}] {text}\n")
    sys.stderr.flush()
