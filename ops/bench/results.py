"""The result of one benchmark: figures with their targets, tables and plots; to JSON and back."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from ops.bench.samples import Samples
from ops.bench.targets import TARGETS, FigureTarget

type Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class TargetCheck:
    """The measurements of one figure, compared with the target of the same name."""

    name: str
    samples: Samples

    @property
    def target(self) -> FigureTarget:
        return TARGETS[self.name]

    @property
    def reached(self) -> bool:
        return self.target.reached(self.samples.median)

    @property
    def measured(self) -> str:
        return self.samples.text(self.target.digits) + self.target.unit

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "figure": self.target.figure,
            "target": self.target.text,
            "values": list(self.samples.values),
            "median": self.samples.median,
            "reached": self.reached,
        }


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A table of texts; the first column holds names, the others numbers. `**` marks a warning."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing of points (x, y), saved as `name`.svg; with `ticks`, bars at x = 0, 1, … ."""

    name: str
    title: str
    x: str
    y: str
    series: Mapping[str, Points]
    ticks: tuple[str, ...] = ()
    logarithmic: bool = False

    @classmethod
    def bars(cls, name: str, title: str, y: str, series: Mapping[str, Mapping[str, float]]) -> Self:
        """Make a plot of bars from a value for each tick."""
        points = {key: tuple(enumerate(values.values())) for key, values in series.items()}
        return cls(name, title, "", y, points, tuple(next(iter(series.values()))))


@dataclass(frozen=True, slots=True)
class BenchResult:
    """The findings of one benchmark; `data` holds every single measurement.

    The runner adds `bench`, the benchmark's name, and `seconds`, its duration.
    """

    title: str
    method: str
    checks: tuple[TargetCheck, ...] = ()
    tables: tuple[ResultTable, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()
    data: Mapping[Any, Any] = field(default_factory=dict)
    bench: str = ""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        checks = [check.to_json() for check in self.checks]
        return asdict(self) | {"checks": checks, "data": _plain(self.data)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        fields = {name: _tuples(value) for name, value in found.items() if name != "data"}
        fields["checks"] = tuple(
            TargetCheck(each["name"], Samples(each["values"])) for each in fields["checks"]
        )
        fields["tables"] = tuple(ResultTable(**each) for each in fields["tables"])
        fields["plots"] = tuple(Plot(**each) for each in fields["plots"])
        return cls(**fields, data=found["data"])


def _plain(value: Any) -> Any:
    """Turn named tuples into JSON objects, and every key into a text."""
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _tuples(value: Any) -> Any:
    """Turn JSON's lists into the tuples that they were."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    if isinstance(value, dict):
        return {name: _tuples(each) for name, each in value.items()}
    return value


def write_json(results: Iterable[BenchResult], machine: Mapping[str, str], file: Path) -> None:
    found = {"machine": machine, "results": [result.to_json() for result in results]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n")


def read_json(machine: Mapping[str, str], file: Path) -> list[BenchResult]:
    """Read the results of an earlier run; none if they are of another machine or commit."""
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return []
    if _identity(found["machine"]) != _identity(machine):
        return []
    return [BenchResult.from_json(each) for each in found["results"]]


def _identity(machine: Mapping[str, str]) -> dict[str, str]:
    """Return what two runs must share; the document that a run writes makes its commit dirty."""
    kept = {name: value for name, value in machine.items() if name != "date"}
    return kept | {"commit": kept["commit"].removesuffix("-dirty")}
