"""Reads, writes and deletes what Pub/Sub refused of the spool."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from ops.commands.console import PlainConsole, styled
from ops.commands.failure import CommandFailed
from ops.commands.json_values import body_fields
from ops.commands.ndjson_output import ndjson_output
from ops.runtime.letter import tables
from ops.runtime.settings import Settings
from ops.runtime.terminal import write_json, write_line
from server import spool
from server.publish import SpoolFailed

READ_SECONDS: Final = 5.0


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (SpoolFailed, OSError) as error:
        raise CommandFailed(f"the spool: {error}") from error


def print_list(settings: Settings, *, as_json: bool) -> None:
    with _failing():
        summary = spool.read_summary(settings, READ_SECONDS)
        rows = [_described(each) for each in spool.read_refused(settings)]
    waiting = summary.messages if summary else 0
    if as_json:
        write_json({"waiting": waiting, "refused": rows})
        return
    if rows:
        table = Table("sequence", header_style="bold")
        for name in ("id", "source", "tables", "error"):
            table.add_column(name, overflow="fold")
        for row in rows:
            named = ", ".join(row["tables"])
            cells = (str(row["sequence"]), row["id"], row["source"], named, row["error"])
            table.add_row(*map(styled, cells))
        PlainConsole().print(table)
    write_line(f"{len(rows):,} refused by Pub/Sub; {waiting:,} wait to be published")


def export(settings: Settings, output: Path | None) -> int:
    """Write one line for each; return how many."""
    count = 0
    with _failing(), ndjson_output(output) as write:
        for each in spool.read_refused(settings):
            write({**_described(each), **body_fields(each.message.data)})
            count += 1
    return count


def sequences(settings: Settings) -> list[int]:
    with _failing():
        return [each.sequence for each in spool.read_refused(settings)]


def discard(settings: Settings, chosen: Sequence[int]) -> int:
    with _failing():
        return spool.discard_refused(settings, chosen)


def _described(each: spool.RefusedMessage) -> dict[str, Any]:
    message = each.message
    return {
        "sequence": each.sequence,
        "error": each.error,
        "id": message.id,
        "source": message.source,
        "ordering_key": message.ordering_key,
        "tables": list(tables(message.data)),
        "received_at": message.received_at,
        "spooled_at": each.spooled_at.isoformat(),
        "sha256": message.sha256,
    }
