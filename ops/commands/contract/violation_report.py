"""What broke the contracts, as text for people and as JSON."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from rich.table import Table

from ops.commands.console import PlainConsole, styled
from server.contracts import ViolationCount

MAX_EXAMPLE: Final = 40
"""Characters of an example; the JSON has all of it."""


def as_json(counts: Sequence[ViolationCount]) -> list[dict[str, Any]]:
    return [_row(each) for each in counts]


def print_report(counts: Sequence[ViolationCount]) -> None:
    """Print what broke each contract, those broken most first."""
    console = PlainConsole()
    for title, rows in _by_contract(list(map(_row, counts))):
        last = max(row["last"] for row in rows)[:16].replace("T", " ")
        console.print(styled(title, "bold"), styled(f"last {last} UTC", "dim"))
        console.print(_table(rows))


def _by_contract(rows: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    rows.sort(key=_title)  # stable: the most frequent stay first
    groups = [(title, list(found)) for title, found in groupby(rows, _title)]
    yield from sorted(groups, key=lambda group: -sum(row["count"] for row in group[1]))


def _title(row: dict[str, Any]) -> str:
    named = f"{row['contract']} {row['version']}".strip() or "no contract"
    return f"table {row['table']}: {named}" + (row["team"] and f", team {row['team']}")


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("count", justify="right")
    for name in ("", "column", "rule"):
        table.add_column(name)
    table.add_column("why, and the last values")
    for row in rows:
        cells = (row["outcome"], row["column"], row["rule"], _explained(row))
        table.add_row(f"{row['count']:,}", *map(styled, cells))
    table.add_row()
    return table


def _explained(row: dict[str, Any]) -> str:
    """Return the message without the contract, which is the title, and the examples."""
    before, _, rest = row["message"].partition(" (contract ")
    why = before + rest.partition(")")[2]
    examples = ", ".join(map(_shown, row["examples"]))
    return f"{why}: {examples}" if examples else why


def _shown(example: str) -> str:
    """Return an example, shortened; in quotation marks if its end could not be seen."""
    text = example if len(example) <= MAX_EXAMPLE else f"{example[:MAX_EXAMPLE]}…"
    is_plain = text and text == text.strip() and "," not in text
    return text if is_plain else json.dumps(text, ensure_ascii=False)


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
