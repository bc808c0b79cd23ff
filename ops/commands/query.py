"""`gatekeeper query`."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from typer import Argument, Option

from ops.commands.command_app import command_app, command_settings, examples
from ops.commands.failure import CommandFailed, WrongUse
from ops.commands.json_values import json_value
from ops.runtime.terminal import DataOutput, write_json

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from ops.runtime.settings import Settings

TABLE_ROWS = 1_000
TIMEOUT_SECONDS = 300.0

app = command_app()


@app.command(
    epilog=examples(
        'gatekeeper query "SELECT * FROM orders ORDER BY id LIMIT 20"',
        'gatekeeper query "SELECT state, COUNT(*) AS n FROM gatekeeper_ledger GROUP BY ALL"',
        'gatekeeper query --csv "SELECT * FROM orders" > orders.csv',
        'echo "SELECT 1 AS one" | gatekeeper query --json -',
    )
)
def query(
    sql: str = Argument(metavar="SQL", help="A statement or script; - reads stdin."),
    *,
    as_json: bool = Option(False, "--json", help="Print one JSON object a line, every row."),
    as_csv: bool = Option(False, "--csv", help="Print CSV, every row."),
) -> None:
    """Run SQL in BigQuery and print the rows.

    The rows are a table, or, if it is wider than the terminal, records: one line for each value.
    At most 1,000 are shown.

    A bare table name is a table of DATASET_ID. Statements that change data run too: only the
    permissions of the service account limit them.
    """
    from ops.commands.google_failure import CALL_ERRORS, google_failure

    if as_json and as_csv:
        raise WrongUse("give --json or --csv, not both")
    settings = command_settings()
    statement = _read_standard_input() if sql == "-" else sql
    if not statement.strip():
        raise WrongUse("SQL is empty: give a statement")
    write = _write_json if as_json else _write_csv if as_csv else _write_table
    try:
        rows = _fetch(statement, settings)
        write([field.name for field in rows.schema], rows)
    except CALL_ERRORS as error:
        raise google_failure(error, settings) from error


def _read_standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise CommandFailed(f"standard input is not UTF-8: {error}") from None


def _fetch(sql: str, settings: "Settings") -> Any:
    """Return BigQuery's row iterator."""
    from ops.runtime import bigquery, clients

    return bigquery.query(
        clients.warehouse(settings),
        sql,
        timeout=TIMEOUT_SECONDS,
        default_dataset=settings.dataset_path,
    )


def _text(value: Any) -> str:
    plain = json_value(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _write_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    from ops.commands.console import PlainConsole

    console = PlainConsole()
    if not names:
        console.print("done: the statement returns no rows")
        return
    shown: list[list[Text]] = []
    more = 0
    for row in rows:
        if len(shown) < TABLE_ROWS:
            shown.append([_cell(each) for each in row])
        else:
            more += 1
    table = _table(names, shown)
    unlimited = console.options.update(max_width=sys.maxsize)
    if shown and console.measure(table, options=unlimited).maximum > console.width:
        for number, row in enumerate(shown, 1):
            console.print(_record(number, names, row))
    else:
        console.print(table)
    count = "1 row" if len(shown) == 1 else f"{len(shown):,} rows"
    console.print(f"{count} shown, {more:,} more: use --csv" if more else count)


def _cell(value: Any) -> "Text":
    from ops.commands.console import styled

    return styled("NULL", "dim") if value is None else styled(_text(value), keep="\n")


def _table(names: Sequence[str], rows: Sequence[Sequence["Text"]]) -> "Table":
    from rich.table import Table

    from ops.commands.console import styled

    table = Table(header_style="bold")
    for name in names:
        table.add_column(styled(name), overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _record(number: int, names: Sequence[str], row: Sequence["Text"]) -> "Table":
    from rich.table import Table

    from ops.commands.console import styled

    record = Table(title=f"row {number:,}", title_justify="left", show_header=False)
    record.add_column(style="bold", overflow="fold")
    record.add_column(overflow="fold")
    for name, value in zip(names, row, strict=True):
        record.add_row(styled(name), value)
    return record


def _write_json(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    for row in rows:
        values = {name: json_value(value) for name, value in zip(names, row, strict=True)}
        write_json(values)


def _write_csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(DataOutput())
    if names:
        writer.writerow(names)
    for row in rows:
        writer.writerow("" if each is None else _text(each) for each in row)
