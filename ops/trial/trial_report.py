"""How a verdict and a trial are shown: tables for people, JSON for programs."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.commands.text_format import duration, printable
from ops.trial.trial import Outcome
from ops.trial.trial_verdict import DEFECTS, Verdict

FINDINGS = 20
"""Defects that a table shows, the first ones; JSON has them all."""


def write_verdict(verdict: Verdict, form: str) -> None:
    """Print a verdict alone."""
    if form == "json":
        _write_json(_described(verdict))
        return
    console = _console()
    _print_verdict(console, verdict)


def write_outcome(outcome: Outcome, form: str) -> None:
    """Print a trial's verdict, and what happened on the way."""
    if form == "json":
        _write_json({**_described(outcome.verdict), **_trial(outcome)})
        return
    console = _console()
    _print_faults(console, outcome)
    _print_load(console, outcome)
    _print_verdict(console, outcome.verdict)


def _console() -> Console:
    return Console(highlight=False)


def _write_json(fields: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(fields, ensure_ascii=False, indent=2) + "\n")


def _described(verdict: Verdict) -> dict[str, Any]:
    return {
        **verdict.counts(),
        "examined": list(verdict.examined),
        "findings": [finding._asdict() for finding in verdict.findings],
    }


def _trial(outcome: Outcome) -> dict[str, Any]:
    tally = outcome.tally
    return {
        "transactions": outcome.plan.transactions,
        "seed": outcome.plan.seed,
        "tables": outcome.tables,
        "rows": outcome.rows,
        "repeated": tally.repeated,
        "refused": tally.refused,
        "load_seconds": round(outcome.load_seconds, 1),
        "settle_seconds": round(outcome.settle_seconds, 1),
        "slowest_answer_seconds": round(tally.slowest_seconds, 3),
        "slowest_with_retries_seconds": round(tally.slowest_step_seconds, 3),
        "errors": dict(tally.errors.most_common()),
        "surprises": tally.surprises,
        "faults": [struck._asdict() for struck in outcome.struck],
    }


def _print_faults(console: Console, outcome: Outcome) -> None:
    if not outcome.struck:
        return
    table = Table("fault", header_style="bold")
    for name in ("after", "at", "for"):
        table.add_column(name, justify="right")
    table.add_column("what it hit", overflow="fold")
    for struck in sorted(outcome.struck, key=lambda each: each.at):
        what = Text(printable(struck.what), "yellow" if struck.missed else "")
        times = f"{struck.at:.1f} s", f"{struck.seconds:.1f} s"
        table.add_row(struck.kind, f"{struck.after:,}", *times, what)
    console.print(table)


def _print_load(console: Console, outcome: Outcome) -> None:
    tally, plan = outcome.tally, outcome.plan
    missed = sum(struck.missed for struck in outcome.struck)
    rate = len(tally.accepted) / max(outcome.load_seconds, 0.001)
    errors = ", ".join(f"{what} {count:,} times" for what, count in tally.errors.most_common())
    lines = [
        (
            f"seed {plan.seed}: {len(tally.accepted):,} transactions accepted in "
            f"{duration(outcome.load_seconds)} ({rate:,.0f}/s), all settled "
            f"{duration(outcome.settle_seconds)} later"
        ),
        f"{tally.repeated:,} repeats, {tally.refused:,} bodies refused by the gate",
        f"{len(outcome.struck):,} faults, {missed:,} of which found nothing to hit",
        (
            f"slowest answer {tally.slowest_seconds:.2f} s, with retries "
            f"{tally.slowest_step_seconds:.2f} s; errors that clients tried again: "
            f"{errors or 'none'}"
        ),
        f"{outcome.tables:,} tables with {outcome.rows:,} rows",
    ]
    console.print("\n".join(lines))
    for surprise in tally.surprises[:FINDINGS]:
        console.print(Text(f"unexpected answer: {printable(surprise)}", "red"))


def _print_verdict(console: Console, verdict: Verdict) -> None:
    table = Table("count", header_style="bold")
    table.add_column("transactions", justify="right")
    table.add_row("accepted", f"{verdict.accepted:,}")
    table.add_row("applied", f"{verdict.applied:,}")
    for reason, count in sorted(verdict.rejected.items()):
        table.add_row(f"rejected: {printable(reason)}", f"{count:,}")
    table.add_row("unsettled", _mark(verdict.unsettled))
    for defect in DEFECTS:
        table.add_row(defect.replace("_", " "), _mark(verdict.count(defect)))
    console.print(table)
    for finding in verdict.findings[:FINDINGS]:
        console.print(Text(printable(f"{finding.defect}: {finding.who}: {finding.text}"), "red"))
    if len(verdict.findings) > FINDINGS:
        console.print(f"and {len(verdict.findings) - FINDINGS:,} more: --format json has them all")
    console.print(f"looked at: {', '.join(verdict.examined)}")


def _mark(count: int) -> Text:
    return Text(f"{count:,}", "bold red" if count else "green")
