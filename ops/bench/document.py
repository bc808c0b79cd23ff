"""Writes docs/performance.md from results: every figure beside its target, with its plots."""

from collections.abc import Iterable, Mapping, Sequence

from ops.bench.results import Check, Grid, Result

_HEAD = """\
# Performance

Measured by `gatekeeper bench all`, which also writes this file; do not edit it. Each figure is the
median of the rounds, its range in brackets; what is compared was measured in turns in the same
run, and a run with an error in it is not reported. Remarks on figures that fall short stand in
`ops/bench/targets.py`.
"""


def write(results: Sequence[Result], machine: Mapping[str, str], plots: str) -> str:
    """Return the document in Markdown; `plots` is the drawings' folder as seen from it."""
    parts = [_HEAD, _machine(machine), _summary(results)]
    parts += [_section(result, plots) for result in results]
    return "\n".join(parts)


def _machine(machine: Mapping[str, str]) -> str:
    rows = tuple((name, text) for name, text in machine.items())
    return f"## The machine\n\n{_grid(Grid('', ('', ''), rows))}"


def _summary(results: Iterable[Result]) -> str:
    checks = [check for result in results for check in result.checks]
    short = sum(not check.reached for check in checks)
    verdict = "All targets are reached." if not short else f"{short} of {len(checks)} fall short."
    return f"## The targets\n\n{verdict}\n\n{_checks(checks)}{_remarks(checks)}"


def _checks(checks: Iterable[Check]) -> str:
    rows = tuple(
        (
            check.target.says,
            check.measured,
            check.target.wanted,
            "reached" if check.reached else "**short**",
        )
        for check in checks
    )
    return _grid(Grid("", ("figure", "measured", "target", ""), rows))


def _remarks(checks: Iterable[Check]) -> str:
    lines = [
        f"- **{check.target.says}**: {check.target.remark or 'falls short; no remark yet.'}\n"
        for check in checks
        if not check.reached
    ]
    return "\n" + "".join(lines) if lines else ""


def _grid(grid: Grid) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    rule = ["---", *("--:" for _ in grid.columns[1:])]
    title = f"**{grid.title}**\n\n" if grid.title else ""
    return title + line(grid.columns) + line(rule) + "".join(line(row) for row in grid.rows)


def _section(result: Result, plots: str) -> str:
    parts = [f"## {result.title}\n", f"{result.method}\n"]
    parts += [_grid(grid) for grid in result.grids]
    parts += [f"![{plot.title}]({plots}/{plot.name}.svg)\n" for plot in result.plots]
    parts += [f"{note}\n" for note in result.notes]
    if result.seconds:
        parts.append(f"Took {result.seconds:,.0f} s.\n")
    return "\n".join(parts)
