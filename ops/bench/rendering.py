"""Shows results: on the terminal, and as docs/performance.md."""

from collections.abc import Iterable, Mapping, Sequence

from rich.markdown import Markdown

from ops.bench.results import BenchResult, ResultTable, TargetCheck
from ops.commands.console import PlainConsole

_HEAD = """\
# Performance

`gatekeeper bench all` measures these figures and writes this file; do not edit it. Each figure is
the median of the rounds, with its range in brackets. Servers or settings that are compared took
turns in the same run. A run with an error in it is not reported. The remarks on figures that miss
their target come from `ops/bench/targets.py`.
"""


def print_result(result: BenchResult, console: PlainConsole) -> None:
    parts = [f"## {result.title}\n"]
    if result.checks:
        parts.append(_target_table(result.checks))
    parts += map(_table, result.tables)
    console.print(Markdown("\n".join([*parts, *_notes(result)])))


def document(results: Sequence[BenchResult], machine: Mapping[str, str], plots: str) -> str:
    """Return the document in Markdown; `plots` is the drawings' folder relative to it."""
    described = _table(ResultTable("", ("", ""), tuple(machine.items())))
    parts = [_HEAD, f"## The machine\n\n{described}", _summary(results)]
    return "\n".join([*parts, *(_section(result, plots) for result in results)])


def _summary(results: Iterable[BenchResult]) -> str:
    checks = [check for result in results for check in result.checks]
    missed = [check for check in checks if not check.reached]
    verdict = f"{len(missed)} of {len(checks)} are missed." if missed else "All are reached."
    remarks = "".join(f"- **{check.target.figure}**: {check.target.remark}\n" for check in missed)
    return f"## The targets\n\n{verdict}\n\n{_target_table(checks)}\n{remarks}"


def _section(result: BenchResult, plots: str) -> str:
    parts = [f"## {result.title}\n", f"{result.method}\n", *map(_table, result.tables)]
    parts += [f"![{plot.title}]({plots}/{plot.name}.svg)\n" for plot in result.plots]
    parts += _notes(result)
    if result.seconds:
        parts.append(f"It took {result.seconds:,.0f} s.\n")
    return "\n".join(parts)


def _notes(result: BenchResult) -> list[str]:
    return [f"{note}\n" for note in result.notes]


def _target_table(checks: Iterable[TargetCheck]) -> str:
    rows = tuple(
        (
            check.target.figure,
            check.measured,
            check.target.text,
            "reached" if check.reached else "**missed**",
        )
        for check in checks
    )
    return _table(ResultTable("", ("figure", "measured: median (range)", "target", ""), rows))


def _table(table: ResultTable) -> str:
    rule = ("---", *("--:" for _ in table.columns[1:]))
    title = f"**{table.title}**\n\n" if table.title else ""
    return title + "".join(map(_line, (table.columns, rule, *table.rows)))


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
