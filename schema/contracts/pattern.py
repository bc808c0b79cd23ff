"""Regular expressions of contracts, by RE2: as BigQuery's REGEXP_CONTAINS, and in linear time.

Python's own `re` takes exponential time for some patterns: one value would stop a server.
"""

from collections.abc import Callable
from functools import lru_cache

import re2

# Without it pyre2 hands patterns that RE2 does not have to `re`.
re2.set_fallback_notification(re2.FALLBACK_EXCEPTION)


class InvalidPattern(ValueError):
    """RE2 does not take the pattern; the text says why."""


@lru_cache(4_096)
def pattern_search(pattern: str) -> Callable[[str], bool]:
    """Return the function that finds the pattern anywhere in a text. Raises InvalidPattern."""
    try:
        found: Callable[[str], bool] = re2.compile(pattern, re2.ASCII).contains
    except re2.error as error:
        raise InvalidPattern(str(error)) from None
    return found
