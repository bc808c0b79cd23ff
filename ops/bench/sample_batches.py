"""Batches as a worker holds them, made without Pub/Sub. Pure except for the clock and new ids."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime

import schema
from ops.bench.pubsub_load import bodies, table_names
from ops.rig.transaction_mix import COLUMNS, TYPES
from workers import ledger, sql
from workers.delivery import Delivery
from workers.entry import Entry
from workers.fold import TableChange
from workers.plan import Catalog, Column


def sample_deliveries(count: int, tables: int) -> list[Delivery]:
    """Return transactions of two activities, the tables in turn."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    lease = time.monotonic() + 600
    return [
        Delivery(
            ack_id=f"1.{number:x}.{number:x}.{table}",
            message_id=str(number),
            data=body,
            attributes={"id": schema.new_id(), "source": "bench", "received_at": now},
            ordering_key=table,
            publish_time=now,
            lease_until=lease,
        )
        for number, (table, body) in enumerate(bodies(table_names(tables), count))
    ]


def sample_catalog(tables: int) -> Catalog:
    """Return a catalog in which all tables exist."""
    columns = {}
    for name, text in zip(COLUMNS, TYPES, strict=True):
        declared = schema.parse_type(text)
        sized = declared.bigquery != declared.base
        size = (declared.precision, declared.scale) if sized else (None, None)
        columns[name] = Column(name, declared.base, *size)
    return dict.fromkeys(table_names(tables), columns)


def activities_of(entries: Iterable[Entry]) -> list[schema.Activity]:
    return [each for entry in entries if entry.transaction for each in entry.transaction.activities]


def commit_script(
    dataset: str, changes: Iterable[TableChange], entries: Iterable[Entry]
) -> sql.Script:
    """Return the script that applies the changes and writes a ledger row for each entry."""
    kept = list(entries)
    rows = [ledger.row(entry, None, "bench") for entry in kept]
    return sql.script(dataset, changes, sql.Settlement([e.message.id for e in kept], [], rows))


def transactions(count: int, tables: int, column_sets: int) -> list[schema.Transaction]:
    """Return transactions of a delete and an insert, over tables and sets of columns in turn."""
    made = []
    integer = schema.parse_type("INTEGER")
    for number in range(count):
        table = table_names(tables)[number % tables]
        width = 1 + number // tables % column_sets
        names = tuple(f"c{place}" for place in range(width))
        columns = (names, (integer,) * width, (str(number),) * width)
        pair = (schema.Activity(kind, table, *columns) for kind in ("delete", "insert"))
        made.append(schema.Transaction(tuple(pair)))
    return made
