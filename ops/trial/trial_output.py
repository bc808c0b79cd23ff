"""Prints an audit and a trial: tables for people, JSON for programs."""

from typing import Any

from rich.table import Table

from ops.commands.console import PlainConsole, styled
from ops.commands.text_format import duration
from ops.runtime.terminal import write_json
from ops.trial.audit_report import DEFECTS, AuditReport
from ops.trial.trial import TrialResult

FINDINGS = 20
"""The number of defects in the table; JSON has all of them."""


def write_report(report: AuditReport, *, as_json: bool) -> None:
    """Print an audit."""
    if as_json:
        write_json(_report_fields(report), indent=2)
    else:
        _print_report(PlainConsole(), report)


def write_trial(result: TrialResult, *, as_json: bool) -> None:
    """Print a trial's faults, its load and its audit."""
    if as_json:
        write_json({**_report_fields(result.report), **_trial_fields(result)}, indent=2)
        return
    console = PlainConsole()
    if result.faults:
        console.print(_fault_table(result))
    _print_load(console, result)
    _print_report(console, result.report)


def _report_fields(report: AuditReport) -> dict[str, Any]:
    return {
        **report.counts(),
        "examined": list(report.examined),
        "findings": [finding._asdict() for finding in report.findings],
    }


def _trial_fields(result: TrialResult) -> dict[str, Any]:
    load = result.load
    return {
        "transactions": result.plan.transactions,
        "seed": result.plan.seed,
        "machines": result.plan.machines,
        "scale": result.plan.scale._asdict(),
        "tables": result.tables,
        "rows": result.rows,
        "repeated": load.repeated,
        "refused": load.refused,
        "load_seconds": round(result.load_seconds, 1),
        "settle_seconds": round(result.settle_seconds, 1),
        "slowest_answer_seconds": round(load.slowest_seconds, 3),
        "slowest_with_retries_seconds": round(load.slowest_step_seconds, 3),
        "errors": dict(load.errors.most_common()),
        "surprises": load.surprises,
        "faults": [fault._asdict() for fault in result.faults],
        **({"strict_bigquery": result.strict} if result.strict else {}),
    }


def _fault_table(result: TrialResult) -> Table:
    table = Table("fault", header_style="bold")
    for name in ("after", "at", "for"):
        table.add_column(name, justify="right")
    table.add_column("what it hit", overflow="fold")
    for fault in sorted(result.faults, key=lambda each: each.at):
        what = styled(fault.what, "yellow" if fault.missed else "")
        times = f"{fault.at:.1f} s", f"{fault.seconds:.1f} s"
        table.add_row(fault.kind, f"{fault.after:,}", *times, what)
    return table


def _print_load(console: PlainConsole, result: TrialResult) -> None:
    load, accepted = result.load, len(result.load.accepted)
    missed = sum(fault.missed for fault in result.faults)
    rate = accepted / max(result.load_seconds, 0.001)
    errors = ", ".join(f"{what} {count:,} times" for what, count in load.errors.most_common())
    console.print(
        f"seed {result.plan.seed}: {accepted:,} transactions accepted in "
        f"{duration(result.load_seconds)} ({rate:,.0f}/s), all settled "
        f"{duration(result.settle_seconds)} later\n"
        f"{load.repeated:,} repeats, {load.refused:,} bodies refused by the server\n"
        f"{len(result.faults):,} faults, {missed:,} of which found nothing to hit\n"
        f"slowest answer {load.slowest_seconds:.2f} s, with retries "
        f"{load.slowest_step_seconds:.2f} s; errors that clients retried: {errors or 'none'}\n"
        f"{result.tables:,} tables with {result.rows:,} rows"
    )
    if result.strict:
        console.print(_strict_line(result.strict))
    for surprise in load.surprises[:FINDINGS]:
        console.print(styled(f"unexpected answer: {surprise}", "red"))


def _strict_line(strict: dict[str, Any]) -> str:
    refused = ", ".join(
        f"{rule} {each['count']:,} times" for rule, each in strict["refusals"].items()
    )
    billed, statements = strict["bytes_billed"]["total"], sum(strict["statements"].values())
    return (
        f"strict BigQuery: {sum(strict['jobs'].values()):,} jobs, {statements:,} statements, "
        f"{billed / 2**30:,.1f} GiB billed, {strict['dollars']:,.2f} $; "
        f"refused: {refused or 'nothing'}"
    )


def _print_report(console: PlainConsole, report: AuditReport) -> None:
    table = Table("count", header_style="bold")
    table.add_column("transactions", justify="right")
    table.add_row("accepted", f"{report.accepted:,}")
    table.add_row("applied", f"{report.applied:,}")
    for reason, count in sorted(report.rejected.items()):
        table.add_row(styled(f"rejected: {reason}"), f"{count:,}")
    table.add_row("settled on what was left behind", f"{report.adopted:,}")
    for name in ("unsettled", *DEFECTS):
        count = report.unsettled if name == "unsettled" else report.count(name)
        style = "bold red" if count else "green"
        table.add_row(name.replace("_", " "), styled(f"{count:,}", style))
    console.print(table)
    for finding in report.findings[:FINDINGS]:
        console.print(styled(f"{finding.defect}: {finding.who}: {finding.text}", "red"))
    if len(report.findings) > FINDINGS:
        console.print(f"and {len(report.findings) - FINDINGS:,} more: --json has all")
    console.print(f"examined: {', '.join(report.examined)}")
