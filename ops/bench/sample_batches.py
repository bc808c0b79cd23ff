"""Batches as a worker holds them, made without Pub/Sub. Pure except for the clock and new ids."""

import itertools
import json
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import schema
from ops.bench.pubsub_load import bodies, table_names
from ops.rig.transaction_mix import COLUMNS, TYPES, TransactionMix
from workers import sql
from workers.decode import DecodedMessage
from workers.dedupe import ledger_row
from workers.lane_queues import Delivery
from workers.table_change import TableChange
from workers.table_columns import CatalogSnapshot, Column

SINCE = "2026-01-01 00:00:00+00:00"
"""Before every sample's publish time."""


def sample_deliveries(count: int, tables: int) -> list[Delivery]:
    """Return transactions of two activities, the tables in turn."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    lease = time.monotonic() + 600
    return [
        Delivery(
            ack_id=f"1.{number:x}.{number:x}.{table}",
            message_id=str(number),
            data=body,
            attributes={"id": schema.new_id(table), "source": "bench", "received_at": now},
            ordering_key=schema.lane_name(schema.lane_of(table)),
            publish_time=now,
            lease_until=lease,
        )
        for number, (table, body) in enumerate(bodies(table_names(tables), count))
    ]


def sample_catalog(tables: int) -> CatalogSnapshot:
    """Return a catalog in which all tables exist."""
    columns = {}
    for name, text in zip(COLUMNS, TYPES, strict=True):
        declared = schema.parse_type(text)
        sized = declared.bigquery != declared.base
        size = (declared.precision, declared.scale) if sized else (None, None)
        columns[name] = Column(name, declared.base, *size)
    return dict.fromkeys(table_names(tables), columns)


def activities_of(messages: Iterable[DecodedMessage]) -> list[schema.Activity]:
    return [each for m in messages if m.transaction for each in m.transaction.activities]


def commit_script(
    dataset: str,
    changes: Sequence[TableChange],
    messages: Iterable[DecodedMessage],
    epoch: int = 0,
) -> sql.Script:
    """Return the script of lane 0 that applies the changes and settles the messages."""
    kept = list(messages)
    rows = [ledger_row(message, None, "lane-00", "bench") for message in kept]
    ids = [message.message.id for message in kept]
    return sql.script(dataset, changes, sql.LaneSettlement(0, epoch, SINCE, ids, rows))


def sample_keyed(count: int) -> list[schema.Activity]:
    """Return upserts, updates and deletes by id, in turn, on one table."""
    mix = TransactionMix(seed=1)
    makers = itertools.cycle((mix.upsert, mix.update, mix.upsert, mix.delete))
    made = [make(table_names(1)[0]) for make in itertools.islice(makers, count)]
    return list(schema.check_body(json.dumps({"activities": made}).encode()).activities)


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
