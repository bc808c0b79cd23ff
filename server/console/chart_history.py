"""The history that the console's charts show: the last six hours, kept by each server."""

import math
from array import array
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

STEP_SECONDS: Final = 10.0
"""Between two points."""

POINTS: Final = 2_160
"""Six hours of them; 152 bytes each, so all are about 350 kB. The oldest are dropped."""

SERIES: Final = (
    "accepted",
    "rejected",
    "applied",
    "dead_lettered",
    "p50",
    "p99",
    "backlog",
    "oldest_seconds",
)
"""The first four are per second, the quantiles in seconds, the backlog in transactions."""

_DIGITS: Final = 4
"""Significant ones in the answer: a chart has no more."""


class ChartHistory:
    """A ring of points: a time in Unix seconds and a value for each of SERIES, NaN for unknown."""

    def __init__(self, points: int = POINTS) -> None:
        self._points: deque[array[float]] = deque(maxlen=points)

    def add(self, at: float, values: Mapping[str, float | None]) -> None:
        """Add a point; a series that is missing, or None, is unknown."""
        known = (values.get(name) for name in SERIES)
        row = (math.nan if value is None else value for value in known)
        self._points.append(array("d", (at, *row)))

    def after(self, at: float) -> dict[str, Any]:
        """Return the points after a time, for JSON: unknown values are null."""
        points = [_row(point) for point in self._points if point[0] > at]
        return {"step_seconds": STEP_SECONDS, "series": SERIES, "points": points}


def _row(point: array[float]) -> list[float | None]:
    at, *values = point
    return [round(at, 3), *(_rounded(value) for value in values)]


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{_DIGITS}g}")
