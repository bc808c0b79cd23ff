"""`gatekeeper contract plan` and `apply`: compares contracts with the tables, runs the DDL."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from google.cloud import bigquery

from ops.commands.command_app import agreed
from ops.commands.contract.contract_paths import read_paths
from ops.commands.contract.live_table import open_warehouse, read_live_table
from ops.commands.contract.table_plan import TablePlan, plan_table
from ops.commands.failure import CommandFailed
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from ops.runtime.terminal import write_json, write_line
from schema.contracts import by_table

STATEMENT_SECONDS: Final = 300.0
BURST, PAUSE_SECONDS = 5, 10.0
"""https://cloud.google.com/bigquery/quotas#standard_tables: metadata updates of a table."""


def print_plan(settings: Settings, paths: Sequence[Path], *, as_json: bool) -> bool:
    """Print what differs; return whether anything is to be done or refused."""
    with open_warehouse(settings) as client:
        plans = _plans(client, settings, paths)
    _print(plans, as_json=as_json)
    return any(each.statements or each.refusals for each in plans)


def apply_plan(
    settings: Settings, paths: Sequence[Path], *, confirmed: bool, as_json: bool
) -> bool:
    """Show the plan and run it, if a person agrees; return whether all is as the contracts say."""
    with open_warehouse(settings) as client:
        plans = _plans(client, settings, paths)
        if not as_json:
            _print(plans, as_json=False)
        count = sum(len(each.statements) for each in plans)
        if count and not confirmed and not agreed(f"Run {count} statements?"):
            raise CommandFailed("nothing is changed; --yes runs the statements without a question")
        for plan in plans:
            _run(client, plan, PAUSE_SECONDS if settings.cloud else 0)
    if as_json:
        _print(plans, as_json=True)
    elif count:
        write_line(f"done: {count} statements")
    return not any(each.refusals for each in plans)


def _plans(client: bigquery.Client, settings: Settings, paths: Sequence[Path]) -> list[TablePlan]:
    contracts = by_table(read_paths(paths))
    dataset = settings.dataset_path
    return [
        plan_table(dataset, contract, read_live_table(client, f"{dataset}.{table}"))
        for table, contract in sorted(contracts.items())
    ]


def _run(client: bigquery.Client, plan: TablePlan, pause: float) -> None:
    for number, statement in enumerate(plan.statements):
        if number and number % BURST == 0:
            time.sleep(pause)
        query(client, statement, timeout=STATEMENT_SECONDS)


def _print(plans: Sequence[TablePlan], *, as_json: bool) -> None:
    if as_json:
        write_json({"tables": [_as_document(each) for each in plans]})
        return
    for plan in plans:
        for line in _lines(plan):
            write_line(line)
    if not any(each.statements or each.refusals for each in plans):
        write_line(f"nothing to do: {len(plans)} tables are as their contracts say")


def _as_document(plan: TablePlan) -> dict[str, Any]:
    return plan._asdict() | {"refusals": [each._asdict() for each in plan.refusals]}


def _lines(plan: TablePlan) -> Iterator[str]:
    yield from (f"{statement};" for statement in plan.statements)
    yield from (f"-- {note}" for note in plan.notes)
    for refusal in plan.refusals:
        place = f"{plan.table}.{refusal.column}" if refusal.column else plan.table
        yield f"-- refused: {place}: {refusal.cause}"
        yield f"--   {refusal.remedy}"
