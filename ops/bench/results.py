"""What a benchmark found: figures beside their targets, tables, plots; and back from JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ops.bench.figures import Samples
from ops.bench.targets import TARGETS, Target


@dataclass(frozen=True, slots=True)
class Check:
    """One figure beside its target."""

    name: str
    samples: Samples

    @property
    def target(self) -> Target:
        """What it is to reach."""
        return TARGETS[self.name]

    @property
    def reached(self) -> bool:
        """Whether the median reaches it."""
        return self.target.reached(self.samples.median)

    @property
    def measured(self) -> str:
        """The median and the range as people read them."""
        return self.samples.text(self.target.digits) + self.target.unit


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts; the first column holds names, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing: each series is points (x, y); the x of bars are the names in `ticks`.

    `name` is the file's, without `.svg`.
    """

    name: str
    title: str
    x: str
    y: str
    series: Mapping[str, tuple[tuple[float, float], ...]]
    ticks: tuple[str, ...] = ()
    logarithmic: bool = False

    @property
    def bars(self) -> bool:
        """Whether it is of bars rather than lines."""
        return bool(self.ticks)


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark's findings; `method` says how they came about, `notes` what to know of them."""

    bench: str
    title: str
    method: str
    checks: tuple[Check, ...] = ()
    grids: tuple[Grid, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)
    """Every single measurement, for whoever wants to look closer."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        found = asdict(self)
        found["checks"] = [
            {
                "name": check.name,
                "says": check.target.says,
                "wanted": check.target.wanted,
                "values": list(check.samples.values),
                "median": check.samples.median,
                "reached": check.reached,
            }
            for check in self.checks
        ]
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote, also through a file."""
        checks = (Check(each["name"], Samples(tuple(each["values"]))) for each in found["checks"])
        grids = (
            Grid(each["title"], tuple(each["columns"]), tuple(map(tuple, each["rows"])))
            for each in found["grids"]
        )
        plots = (
            Plot(
                **{
                    **each,
                    "ticks": tuple(each["ticks"]),
                    "series": {
                        name: tuple((x, y) for x, y in points)
                        for name, points in each["series"].items()
                    },
                }
            )
            for each in found["plots"]
        )
        rest = {
            **found,
            "checks": tuple(checks),
            "grids": tuple(grids),
            "plots": tuple(plots),
            "notes": tuple(found["notes"]),
        }
        return cls(**rest)
