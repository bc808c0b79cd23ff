"""Prints results for people, and writes them for machines."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ops.bench.results import Check, Grid, Result


def printed(result: Result) -> Group:
    """Lay a result out: the figures beside their targets, then the tables and the notes."""
    parts: list[RenderableType] = [Text(result.title, "bold")]
    if result.checks:
        parts.append(_checks(result.checks))
    parts += [_table(grid) for grid in result.grids]
    parts += [Text(note) for note in result.notes]
    return Group(*parts)


def _checks(checks: Iterable[Check]) -> Table:
    table = Table(header_style="bold")
    for name in ("figure", "measured: median (range)", "target", ""):
        table.add_column(name)
    for check in checks:
        word = Text("reached", "green") if check.reached else Text("short", "red")
        table.add_row(check.target.says, check.measured, check.target.wanted, word)
    return table


def _table(grid: Grid) -> Table:
    table = Table(title=grid.title, title_justify="left", header_style="bold")
    for number, name in enumerate(grid.columns):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*(cell.replace("**", "") for cell in row))
    return table


def show(result: Result, console: Console) -> None:
    """Print a result."""
    console.print(printed(result))


def write_json(results: Iterable[Result], machine: Mapping[str, str], file: Path) -> None:
    """Write results, all measurements included, and the machine that they are of."""
    found = {"machine": machine, "results": [result.to_json() for result in results]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n")


def read_json(machine: Mapping[str, str], file: Path) -> list[Result]:
    """Read the results of an earlier run; none where they are of another machine or commit."""
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return []
    if _same(found["machine"]) != _same(machine):
        return []
    return [Result.from_json(each) for each in found["results"]]


def _same(machine: Mapping[str, str]) -> dict[str, str]:
    """Return what must not differ: the run itself may make the commit dirty by its document."""
    kept = {name: value for name, value in machine.items() if name != "date"}
    return kept | {"commit": kept["commit"].removesuffix("-dirty")}
