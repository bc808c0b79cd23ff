"""The time of day for a service that decides by it what to forget: it never jumps.

A machine's clock that is set two hours ahead must not make a minute-old message too old to keep.
"""

import time

_OFFSET = time.time() - time.monotonic()


def now() -> float:
    """Return seconds since 1970 by the clock as it was at the process's start, gone on evenly."""
    return _OFFSET + time.monotonic()
