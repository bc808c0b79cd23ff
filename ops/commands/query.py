"""`gatekeeper query`."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from typer import Argument, Option

from ops.commands.command_app import command_app, command_settings, examples
from ops.commands.json_values import json_value
from ops.runtime.terminal import DataOutput, write_json

if TYPE_CHECKING:
    from ops.runtime.settings import Settings

TABLE_ROWS = 1_000
TIMEOUT_SECONDS = 300.0

app = command_app()


@app.command(
    epilog=examples(
        'gatekeeper query "SELECT * FROM orders ORDER BY id LIMIT 20"',
        'gatekeeper query "SELECT state, COUNT(*) AS n FROM gatekeeper_ledger GROUP BY ALL"',
        'gatekeeper query --format csv "SELECT * FROM orders" > orders.csv',
        'echo "SELECT 1 AS one" | gatekeeper query --format json -',
    )
)
def query(
    sql: str = Argument(metavar="SQL", help="A statement or script; - reads stdin."),
    output: Literal["table", "json", "csv"] = Option(
        "table",
        "--format",
        help=f"A table of at most {TABLE_ROWS:,} rows, one JSON object a line, or CSV.",
    ),
) -> None:
    """Run SQL in BigQuery and print the rows.

    A bare table name is a table of DATASET_ID. Statements that change data run too: only the
    permissions of the service account limit them.
    """
    from ops.commands.google_failure import CALL_ERRORS, google_failure

    settings = command_settings()
    statement = sys.stdin.read() if sql == "-" else sql
    try:
        rows = _fetch(statement, settings)
        _WRITERS[output]([field.name for field in rows.schema], rows)
    except CALL_ERRORS as error:
        raise google_failure(error, settings) from error


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
    from rich.table import Table

    from ops.commands.console import PlainConsole, styled

    console = PlainConsole()
    if not names:
        console.print("done: the statement returns no rows")
        return
    table = Table(header_style="bold")
    for name in names:
        table.add_column(styled(name), overflow="fold")
    shown = more = 0
    for row in rows:
        if shown == TABLE_ROWS:
            more += 1
            continue
        shown += 1
        table.add_row(
            *(
                styled("NULL", "dim") if each is None else styled(_text(each), keep="\n")
                for each in row
            )
        )
    console.print(table)
    count = "1 row" if shown == 1 else f"{shown:,} rows"
    console.print(f"{count} shown, {more:,} more: use --format csv" if more else count)


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


_WRITERS = {"table": _write_table, "json": _write_json, "csv": _write_csv}
