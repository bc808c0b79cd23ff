"""What broke the contracts, as a table and as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from ops.commands.console import styled
from server.contracts import ViolationCount

_HEADINGS = ("count", "contract", "team", "table", "column", "rule", "outcome", "last", "examples")


def as_json(counts: Sequence[ViolationCount]) -> list[dict[str, Any]]:
    return [_row(each) for each in counts]


def as_table(counts: Sequence[ViolationCount]) -> Table:
    table = Table(*_HEADINGS, header_style="bold")
    for row in map(_row, counts):
        contract = f"{row['contract']} {row['version']}".strip() or "none"
        cells = (row["team"], row["table"], row["column"], row["rule"], row["outcome"])
        examples = ", ".join(row["examples"])
        table.add_row(
            f"{row['count']:,}", *map(styled, (contract, *cells, row["last"][:19], examples))
        )
    return table


def _row(each: ViolationCount) -> dict[str, Any]:
    key, seen = each
    return {
        "contract": key.contract,
        "version": key.version,
        "team": key.team,
        "table": key.table,
        "column": key.column,
        "rule": key.rule,
        "outcome": "refused" if key.refused else "reported",
        "count": seen.count,
        "first": _moment(seen.first_at),
        "last": _moment(seen.last_at),
        "message": seen.message,
        "examples": seen.examples,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
