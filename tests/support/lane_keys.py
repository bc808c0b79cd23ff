"""Ordering keys whose lane a test chooses."""

import itertools

from schema import lane_of


def key_of_lane(lane: int, *, after: str = "key-0") -> str:
    """Return an ordering key of this lane: the first one after another."""
    start = int(after.removeprefix("key-")) + 1
    keys = (f"key-{number}" for number in itertools.count(start))
    return next(key for key in keys if lane_of(key) == lane)
