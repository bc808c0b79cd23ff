"""Repeated measurements of one figure, and what is calculated from them. Pure."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self


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


def by_field(rows: Sequence[Any]) -> dict[str, Samples]:
    """Return the samples of each field of named tuples, one of them for each round."""
    return {name: Samples.of(getattr(row, name) for row in rows) for name in rows[0]._fields}


def ratios(figure: Samples, to: Samples) -> Samples:
    """Divide round by round, because a slow moment of the machine slows both values of a round."""
    return Samples.of(a / b for a, b in zip(figure.values, to.values, strict=True))


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
