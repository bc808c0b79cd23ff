"""The time of day for services that delete old data: it follows no change of the machine's clock.

A clock set two hours ahead must not make a minute-old message too old to keep.
"""

import time

_OFFSET = time.time() - time.monotonic()


def now() -> float:
    """Return seconds since 1970: the time at the process's start plus the time elapsed since."""
    return _OFFSET + time.monotonic()
