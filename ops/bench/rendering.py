"""Shows results: on the terminal, and as docs/performance.md."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.bench.results import BenchResult, ResultTable, TargetCheck

_HEAD = """\
# Performance

`gatekeeper bench all` measures these figures and writes this file; do not edit it. Each figure is
the median of the rounds, with its range in brackets. Servers or settings that are compared took
turns in the same run. A run with an error in it is not reported. The remarks on figures that miss
their target come from `ops/bench/targets.py`.
"""


def _target_table(checks: Iterable[TargetCheck]) -> ResultTable:
    rows = tuple(
        (
            check.target.figure,
            check.measured,
            check.target.text,
            "reached" if check.reached else "**missed**",
        )
        for check in checks
    )
    return ResultTable("", ("figure", "measured: median (range)", "target", ""), rows)


def print_result(result: BenchResult, console: Console) -> None:
    console.print(Text(result.title, "bold"))
    checks = (_target_table(result.checks),) if result.checks else ()
    for table in (*checks, *result.tables):
        console.print(_rich_table(table))
    for note in result.notes:
        console.print(Text(note))


def _rich_table(table: ResultTable) -> Table:
    shown = Table(title=table.title or None, title_justify="left", header_style="bold")
    for number, name in enumerate(table.columns):
        shown.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(
            *(Text(cell.replace("**", ""), "red" if "**" in cell else "") for cell in row)
        )
    return shown


def document(results: Sequence[BenchResult], machine: Mapping[str, str], plots: str) -> str:
    """Return the document in Markdown; `plots` is the drawings' folder relative to it."""
    described = _markdown(ResultTable("", ("", ""), tuple(machine.items())))
    parts = [_HEAD, f"## The machine\n\n{described}", _summary(results)]
    return "\n".join([*parts, *(_section(result, plots) for result in results)])


def _summary(results: Iterable[BenchResult]) -> str:
    checks = [check for result in results for check in result.checks]
    missed = [check for check in checks if not check.reached]
    verdict = f"{len(missed)} of {len(checks)} are missed." if missed else "All are reached."
    remarks = "".join(
        f"- **{check.target.figure}**: {check.target.remark or 'No remark yet.'}\n"
        for check in missed
    )
    table = _markdown(_target_table(checks))
    return f"## The targets\n\n{verdict}\n\n{table}" + (f"\n{remarks}" if remarks else "")


def _section(result: BenchResult, plots: str) -> str:
    parts = [f"## {result.title}\n", f"{result.method}\n"]
    parts += [_markdown(table) for table in result.tables]
    parts += [f"![{plot.title}]({plots}/{plot.name}.svg)\n" for plot in result.plots]
    parts += [f"{note}\n" for note in result.notes]
    if result.seconds:
        parts.append(f"It took {result.seconds:,.0f} s.\n")
    return "\n".join(parts)


def _markdown(table: ResultTable) -> str:
    rule = ("---", *("--:" for _ in table.columns[1:]))
    title = f"**{table.title}**\n\n" if table.title else ""
    return title + "".join(map(_line, (table.columns, rule, *table.rows)))


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
