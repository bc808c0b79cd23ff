"""Points in time as people write them: 2h ago, or a date. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

EXAMPLES: Final = "such as 2h, 3d or 2026-01-31T12:00Z"

_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_point_in_time(text: str, now: datetime) -> datetime:
    """Return the time that `2h` (ago) or an ISO 8601 time means; without an offset it is UTC.

    Raises ValueError with a sentence for people, also for a time in the future.
    """
    if found := _AGO.fullmatch(text):
        try:
            return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
        except OverflowError:
            raise ValueError(f"{text} is too long ago") from None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: give one {EXAMPLES}") from None
    point = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    if point > now:
        raise ValueError(f"{text} is in the future")
    return point
