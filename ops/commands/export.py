"""`gatekeeper export`."""

import contextlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from typer import Argument, Option

from ops.commands.command_app import command_app, command_settings, examples
from ops.commands.failure import CommandFailed, WrongUse
from ops.commands.json_values import json_value
from ops.commands.ndjson_output import ndjson_output
from ops.commands.point_in_time import EXAMPLES, parse_point_in_time
from ops.runtime.terminal import write_line
from schema import LEDGER_COLUMNS, LEDGER_TABLE, REJECTED_COLUMNS, REJECTED_TABLE

if TYPE_CHECKING:
    from ops.runtime.settings import Settings

TIMEOUT_SECONDS = 600.0
_VIEWS = {
    "ledger": (LEDGER_TABLE, LEDGER_COLUMNS),
    "rejected": (REJECTED_TABLE, REJECTED_COLUMNS),
}

app = command_app()


@app.command(
    epilog=examples(
        "gatekeeper export ledger --since 7d --output ledger.ndjson",
        "gatekeeper export rejected --since 2026-01-01 | gzip > rejected.ndjson.gz",
    )
)
def export(
    what: Literal["ledger", "rejected"] = Argument(
        metavar="ledger|rejected", help="Which of the two tables."
    ),
    *,
    since: str = Option("", metavar="TIME", help=f"Only what was settled since then, {EXAMPLES}."),
    output: Path | None = Option(
        None, "--output", "-o", metavar="FILE", help="Write here, not to standard output."
    ),
) -> None:
    """Write the ledger, or the rejected transactions with their bodies, as NDJSON.

    One row of the table is one JSON object, in no order. BYTES are in base64. The file appears
    when it is complete.
    """
    from google.api_core.exceptions import NotFound

    from ops.commands.google_failure import CALL_ERRORS, google_failure, one_line

    try:
        text, parameters = export_sql(what, since, datetime.now(UTC))
    except ValueError as error:
        raise WrongUse(f"--since: {error}") from None
    settings = command_settings()
    count = 0
    try:
        with ndjson_output(output) as write:
            for row in _rows(settings, text, parameters):
                write({name: json_value(value) for name, value in row.items()})
                count += 1
    except NotFound as error:
        raise CommandFailed(f"{one_line(error)}: create it with `gatekeeper provision`") from error
    except CALL_ERRORS as error:
        raise google_failure(error, settings) from error
    if output:
        write_line(f"{output}: {count:,} rows")


def export_sql(what: str, since: str, now: datetime) -> tuple[str, dict[str, str]]:
    """Return the query and its parameters; raises ValueError for a wrong time."""
    table, columns = _VIEWS[what]
    text = f"SELECT {', '.join(each.name for each in columns)} FROM {table}"  # noqa: S608  # our own names
    if not since:
        return text, {}
    start = parse_point_in_time(since, now).isoformat(" ")
    return f"{text} WHERE settled_at >= CAST(@since AS TIMESTAMP)", {"since": start}


def _rows(
    settings: "Settings", text: str, parameters: Mapping[str, str]
) -> Iterable[Mapping[str, Any]]:
    """Yield the rows page by page."""
    from ops.runtime import bigquery, clients

    with contextlib.closing(clients.warehouse(settings)) as client:
        yield from bigquery.query(
            client,
            text,
            timeout=TIMEOUT_SECONDS,
            parameters=parameters,
            default_dataset=settings.dataset_path,
        )
