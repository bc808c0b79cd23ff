"""Samples and what is said of them: percentiles, medians, ratios. Pure."""

import math
import statistics
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Samples(NamedTuple):
    """One figure, measured once in each round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest."""
        return max(self.values)

    def text(self, digits: int = 0) -> str:
        """Return `median (low to high)`; one value stands alone."""
        median = f"{self.median:,.{digits}f}"
        if len(self.values) == 1:
            return median
        return f"{median} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


def ratios(values: Sequence[float], to: Sequence[float]) -> Samples:
    """Divide round by round: what the machine did in a round, it did to both."""
    return Samples(tuple(a / b for a, b in zip(values, to, strict=True)))


def from_buckets(cumulative: Mapping[float, float], share: float) -> float:
    """Estimate a percentile from a Prometheus histogram: upper bound → how many are at most that.

    Within a bucket the values are taken to lie evenly, as `histogram_quantile` has it; past the
    last finite bound the answer is that bound. Raises ValueError for an empty histogram.
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
    """Return how fast y grows with x: the mean of the later half less the earlier one's.

    Where y goes up and down in a short period, a line through all points would follow its ends.
    Raises ValueError for fewer than four points.
    """
    if len(points) < 4:  # noqa: PLR2004  # two for each half
        raise ValueError("too few points to speak of growth")
    middle = len(points) // 2
    earlier, later = points[:middle], points[middle:]
    (x0, y0), (x1, y1) = (
        (statistics.fmean(x for x, _ in part), statistics.fmean(y for _, y in part))
        for part in (earlier, later)
    )
    return (y1 - y0) / (x1 - x0)
