"""Batches as a worker holds them, made without a Pub/Sub. Pure but for the clock and fresh ids."""

import time
from datetime import UTC, datetime

import schema
from ops.bench.feed import bodies, tables
from ops.rig.transaction_mix import COLUMNS, TYPES
from workers.delivery import Delivery
from workers.plan import Catalog, Column


def deliveries(count: int, table_count: int) -> list[Delivery]:
    """Make deliveries of two-activity transactions, in turn over the tables."""
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
        for number, (table, body) in enumerate(bodies(tables(table_count), count))
    ]


def known_tables(count: int) -> Catalog:
    """Return the catalog that has the tables with the columns of the load."""
    columns = {}
    for name, text in zip(COLUMNS, TYPES, strict=True):
        declared = schema.parse_type(text)
        sized = declared.bigquery != declared.base
        size = (declared.precision, declared.scale) if sized else (None, None)
        columns[name] = Column(name, declared.base, *size)
    return dict.fromkeys(tables(count), columns)


def batch(count: int, table_count: int, column_sets: int) -> list[schema.Transaction]:
    """Make transactions of a delete and an insert each, over tables and sets of columns in turn."""
    made = []
    integer = schema.parse_type("INTEGER")
    for number in range(count):
        table = tables(table_count)[number % table_count]
        width = 1 + number // table_count % column_sets
        names = tuple(f"c{place}" for place in range(width))
        columns = (names, (integer,) * width, (str(number),) * width)
        made.append(
            schema.Transaction(
                (
                    schema.Activity("delete", table, *columns),
                    schema.Activity("insert", table, *columns),
                )
            )
        )
    return made
