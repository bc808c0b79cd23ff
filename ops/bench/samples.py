"""Repeated measurements of one figure, and what is calculated from them. Pure."""

import math
import statistics
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self


class Samples(NamedTuple):
    """One figure, measured once in each round."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        return cls(tuple(values))

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def text(self, digits: int = 0) -> str:
        """Return `median (low to high)`, or the value alone if there is only one."""
        median = f"{self.median:,.{digits}f}"
        if len(self.values) == 1:
            return median
        return f"{median} ({min(self.values):,.{digits}f} to {max(self.values):,.{digits}f})"


def ratios(values: Iterable[float], to: Iterable[float]) -> Samples:
    """Divide round by round, because a slow moment of the machine slows both values of a round."""
    return Samples.of(a / b for a, b in zip(values, to, strict=True))


def histogram_percentile(cumulative: Mapping[float, float], share: float) -> float:
    """Estimate a percentile from a Prometheus histogram: upper bound → count of values up to it.

    Like `histogram_quantile`, it assumes that values are spread evenly within a bucket, and returns
    the last finite bound for anything above it. Raises ValueError for an empty histogram.
    """
    bounds = sorted(cumulative)
    counts = [cumulative[bound] for bound in bounds]
    if not counts or not counts[-1]:
        raise ValueError("an empty histogram has no percentile")
    rank = share * counts[-1]
    place = bisect_left(counts, rank)
    if math.isinf(bounds[place]):
        return bounds[place - 1]
    low, below = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
    return low + (bounds[place] - low) * (rank - below) / (counts[place] - below)


def growth(points: Sequence[tuple[float, float]]) -> float:
    """Return how fast y grows with x: from the mean of the first half to that of the second.

    A backlog goes up and down with each batch; a line through all points would follow its ends.
    Raises ValueError for fewer than four points.
    """
    if len(points) < 4:  # noqa: PLR2004  # two for each half
        raise ValueError("too few points to calculate growth")
    middle = len(points) // 2
    (x0, y0), (x1, y1) = (_mean(half) for half in (points[:middle], points[middle:]))
    return (y1 - y0) / (x1 - x0)


def _mean(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return statistics.fmean(x for x, _ in points), statistics.fmean(y for _, y in points)
