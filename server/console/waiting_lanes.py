"""The lanes whose messages wait with the workers, from what these push. Pure."""

from collections.abc import Iterable
from typing import Any, Final

from ops.runtime.pushed_metrics import PushedGroup

LANE_OLDEST: Final = "gatekeeper_lane_oldest_seconds"
MOST: Final = 12
"""Lanes that are named."""


def waiting_lanes(
    groups: Iterable[PushedGroup], now: float, stale_after: float
) -> list[dict[str, Any]]:
    """Return the lanes with the oldest messages, the oldest first, and the worker that has each.

    Ages are in seconds, of the time of the push. What a silent worker pushed last is left out: its
    messages are delivered to others.
    """
    found: dict[str, dict[str, Any]] = {}
    for group in groups:
        if now - group.pushed_at > stale_after:
            continue
        for sample in group.samples.get(LANE_OLDEST, ()):
            lane, age = sample.labels.get("lane", ""), sample.value
            if age > found.get(lane, {"oldest_seconds": 0.0})["oldest_seconds"]:
                found[lane] = {"lane": lane, "oldest_seconds": age, "worker": group.instance}
    return sorted(found.values(), key=lambda each: -each["oldest_seconds"])[:MOST]
