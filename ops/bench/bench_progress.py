"""Progress lines on standard error; standard output is for the results."""

import sys
import time

_BEGAN = time.monotonic()


def show_progress(text: str) -> None:
    """Print a line with the minutes and seconds since the start."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGAN), 60)
    sys.stderr.write(f"[{minutes:02}:{seconds:02}] {text}\n")
    sys.stderr.flush()
