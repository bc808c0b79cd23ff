"""Run SQL in the warehouse and print the rows.

A bare table name is a table of DATASET_ID. Anything BigQuery runs is run, statements that change
data included: the service account's permissions are the limit.

For example:
  gatekeeper query "SELECT * FROM orders ORDER BY id LIMIT 20"
  gatekeeper query "SELECT state, reason, COUNT(*) AS n FROM gatekeeper_ledger GROUP BY ALL"
  gatekeeper query --format csv "SELECT * FROM orders" > orders.csv
  echo "SELECT 1 AS one" | gatekeeper query --format json -
"""

import argparse
import base64
import csv
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery
from requests.exceptions import ConnectionError as HttpUnreachable
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.commands.failure import CommandFailed, report, warehouse_failure
from ops.runtime import clients
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings

TABLE_ROWS = 1_000
TIMEOUT_SECONDS = 300.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("sql", metavar="SQL", help="one statement or script; - reads it from stdin")
    parser.add_argument(
        "--format",
        choices=("table", "json", "csv"),
        default="table",
        help=f"table (the default; at most {TABLE_ROWS:,} rows), one JSON object a line, or CSV",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run the statement and print its rows."""
    sql = sys.stdin.read() if options.sql == "-" else options.sql
    try:
        rows = fetch(clients.warehouse(settings), sql, settings)
        _WRITERS[options.format]([field.name for field in rows.schema], rows)
    except CommandFailed as failure:
        return report(failure)
    except (GoogleAPICallError, HttpUnreachable) as error:
        return report(warehouse_failure(error, settings))
    return 0


def fetch(client: bigquery.Client, sql: str, settings: Settings) -> Any:
    """Run SQL with the dataset as default and return BigQuery's row iterator.

    Raises what the client raises; nothing is retried, for a person waits.
    """
    return query(client, sql, timeout=TIMEOUT_SECONDS, default_dataset=settings.dataset_path)


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: exact, and as BigQuery itself would write it."""
    match value:
        case Decimal():
            return format(value, "f")
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case _:
            return value


def _text(value: Any) -> str:
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    return json.dumps(plain, ensure_ascii=False)


def _write_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    console = Console()
    if not names:
        console.print("done: the statement returns no rows")
        return
    table = Table(header_style="bold")
    for name in names:
        table.add_column(Text(name), overflow="fold")
    shown = more = 0
    for row in rows:
        if shown == TABLE_ROWS:
            more += 1
            continue
        shown += 1
        cells = (Text("NULL", "dim") if each is None else Text(_text(each)) for each in row)
        table.add_row(*cells)
    console.print(table)
    count = "1 row" if shown == 1 else f"{shown:,} rows"
    console.print(f"{count} shown, {more:,} more: use --format csv" if more else count)


def _write_json(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    for row in rows:
        values = {name: _plain(value) for name, value in zip(names, row, strict=True)}
        sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")


def _write_csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout)
    if names:
        writer.writerow(names)
    for row in rows:
        writer.writerow("" if each is None else _text(each) for each in row)


_WRITERS = {"table": _write_table, "json": _write_json, "csv": _write_csv}
