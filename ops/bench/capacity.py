"""How a load turns into the batches of lanes: their size, number, statements and bytes. Pure.

A lane has one batch in flight. The next one closes when its first transaction has waited for
FRESHNESS_SECONDS, or earlier when it is full, and never before the batch in flight has ended.
"""

from typing import Final, NamedTuple

from ops.bench import cloud_limits
from ops.bench.sample_batches import activities_of, commit_script, sample_deliveries
from ops.rig import RunFailed
from schema import LANES, MAX_LANES
from workers import sql
from workers.decode import decode
from workers.fold import fold

_SAMPLE: Final = 1_000
_MAX_BATCH_MESSAGES: Final = 10_000
_MAX_BATCH_BYTES: Final = 8_000_000
"""The highest BATCH_MAX_MESSAGES and BATCH_MAX_BYTES that the settings allow."""
_BOUNDS: Final = {
    "rate": (0.001, 10_000_000),
    "tables": (1, 1_000_000),
    "table_bytes": (0.0001, 1_000_000),  # in GB, as --table-gb
    "table_partitions": (1, 10_000),  # https://cloud.google.com/bigquery/quotas#partitioned_tables
    "partitions": (1, 10_000),
    "freshness": (0.001, 3_600),
    "lanes": (1, MAX_LANES),
    "workers": (1, 10_000),
    "job_seconds": (0.001, 3_600),
    "statement_seconds": (0.001, 3_600),
}


class AssumedLoad(NamedTuple):
    """A rate and the settings it meets; sizes in bytes, times in seconds."""

    rate: float = 200.0
    """Transactions a second."""
    workers: int = 2
    tables: int = 20
    lanes: int = LANES
    freshness: float = 10.0
    warehouse_jobs: int = 16
    batch_max_messages: int = 5_000
    batch_max_bytes: int = 4_000_000
    job_seconds: float = 1.0
    """Of a job without its statements."""
    statement_seconds: float = 0.7
    """Statements of a script run one after the other:
    https://cloud.google.com/bigquery/docs/multi-statement-queries."""
    idempotency_hours: int = 24
    table_bytes: float = 1e9
    """Of the average table."""
    table_partitions: int = 1
    partitions: int = 1
    """Of a table's partitions, those that a batch's statement is bounded to."""


def check(load: AssumedLoad) -> AssumedLoad:
    """Return the load; raises RunFailed, in one line, for one that cannot be."""
    for name, (least, most) in _BOUNDS.items():
        value = getattr(load, name)
        if name == "table_bytes":
            value /= 1e9
        if not least <= value <= most:
            raise RunFailed(f"{_option(name)} {value:g}: expected {least:g} to {most:,}")
    if load.partitions > load.table_partitions:
        raise RunFailed(
            f"--partitions {load.partitions}: a table has only {load.table_partitions}"
            " (--table-partitions)"
        )
    return load


def _option(field: str) -> str:
    return "--table-gb" if field == "table_bytes" else f"--{field.replace('_', '-')}"


class TransactionBytes(NamedTuple):
    """Bytes of the average transaction: its body, its message, and its part of a script."""

    body: float
    message: float
    script: float


def transaction_bytes(count: int = _SAMPLE) -> TransactionBytes:
    """Measure transactions of two activities as the product makes them."""
    deliveries = sample_deliveries(count, 1)
    entries = [decode(each) for each in deliveries]
    script = commit_script("project.dataset", fold(activities_of(entries)), entries)
    body = sum(len(each.data) for each in deliveries)
    attributes = sum(
        len(each.message.ordering_key)
        + sum(len(name) + len(text) for name, text in each.message.attributes.items())
        for each in entries
    )
    return TransactionBytes(
        body=body / count,
        message=(body + attributes) / count + cloud_limits.MESSAGE_OVERHEAD.value,
        script=script.request_bytes / count,
    )


class LargestBatch(NamedTuple):
    """The largest batch that fits a request, as settings, and a sentence that recommends it."""

    messages: int
    bytes: int
    advice: str


def largest_batch(sizes: TransactionBytes | None = None) -> LargestBatch:
    """Find the largest BATCH_MAX_* that BigQuery's request limit allows."""
    sizes = sizes or transaction_bytes()
    messages = min(int(sql.MAX_REQUEST_BYTES / sizes.script), _MAX_BATCH_MESSAGES)
    size = min(int(messages * sizes.body), _MAX_BATCH_BYTES)
    return LargestBatch(
        messages,
        size,
        "With a slow warehouse, larger batches give more throughput, and a request of at most 10 MB"
        f" limits the batch. Each of these transactions takes {sizes.script:,.0f} bytes of a"
        f" script, so the highest settings that fit are BATCH_MAX_MESSAGES={messages} and"
        f" BATCH_MAX_BYTES={size}. A larger batch is split and costs one more job, so use a smaller"
        " number if your bodies are larger.",
    )


class BatchEstimate(NamedTuple):
    """The batches of a load, and what the workers can do."""

    lanes: float
    """Lanes that have tables."""
    batch: float
    """Transactions in a batch."""
    seconds: float
    """From one batch of a lane to its next."""
    job_seconds: float
    """Of a batch's job."""
    capacity: float
    """Transactions a second that the workers can apply at most."""
    tables: float
    """Tables in a batch, which is also its data statements."""
    sizes: TransactionBytes

    @property
    def batches(self) -> float:
        """Batches a second, all lanes together."""
        return self.lanes / self.seconds

    @property
    def statements(self) -> float:
        """DML statements in a batch: the head's UPDATE, one a table, the ledger's INSERT."""
        return self.tables + 2


def estimate(load: AssumedLoad, sizes: TransactionBytes | None = None) -> BatchEstimate:
    """Estimate the batches of a load; above the workers' capacity, those of the capacity."""
    sizes = sizes or transaction_bytes()
    largest = min(
        load.batch_max_messages,
        load.batch_max_bytes / sizes.body,
        sql.MAX_REQUEST_BYTES / sizes.script,
    )
    # Each table is in the lane of its name's hash, so some lanes have several and some have none.
    lanes = load.lanes * (1 - (1 - 1 / load.lanes) ** load.tables)
    tables = min(load.tables / lanes, cloud_limits.TABLES_A_TRANSACTION.value - 2)
    busy = max(lanes / (load.workers * load.warehouse_jobs), 1.0)
    capacity = lanes * largest / (_job_seconds(load, tables) * busy)
    rate = min(load.rate, capacity) / lanes
    # The batch waits from its first transaction, which comes 1/rate after the batch before it.
    seconds = min(load.freshness + 1 / rate, max(largest / rate, 1 / rate))
    tables = _distinct(tables, rate * seconds)
    job_seconds = _job_seconds(load, tables)
    seconds = max(seconds, job_seconds * busy)
    return BatchEstimate(lanes, rate * seconds, seconds, job_seconds, capacity, tables, sizes)


def _job_seconds(load: AssumedLoad, tables: float) -> float:
    return load.job_seconds + (tables + 2) * load.statement_seconds


def _distinct(tables: float, transactions: float) -> float:
    """Return how many of a lane's tables some transactions name, each by chance."""
    return float(max(tables * (1 - (1 - 1 / tables) ** transactions), 1.0)) if tables > 1 else 1.0
