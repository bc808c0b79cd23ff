"""How a load turns into batches: their size, number, statements and bytes. Pure.

A worker has one batch in flight and gathers the next one meanwhile. So a batch is as large as what
arrives during one job.
"""

from typing import Final, NamedTuple

from ops.bench import cloud_limits
from ops.bench.sample_batches import activities_of, commit_script, sample_deliveries
from workers import sql
from workers.decode import decode
from workers.fold import fold

_SAMPLE: Final = 1_000
_MAX_BATCH_MESSAGES: Final = 10_000
_MAX_BATCH_BYTES: Final = 8_000_000
"""The highest BATCH_MAX_MESSAGES and BATCH_MAX_BYTES that the settings allow."""


class AssumedLoad(NamedTuple):
    """A rate and the settings it meets; sizes in bytes, times in seconds."""

    rate: float = 200.0
    """Transactions a second."""
    workers: int = 2
    tables: int = 20
    column_sets: int = 1
    """Different sets of columns in the inserts of a table, and as many in its deletes."""
    batch_max_messages: int = 5_000
    batch_max_bytes: int = 4_000_000
    job_seconds: float = 2.5
    ledger_days: int = 30
    table_bytes: float = 1e9
    """Of the average table: a DELETE is billed for all of it."""


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
        script=sum(len(text.encode()) for text in script.parameters.values()) / count,
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

    batch: float
    """Transactions in a batch."""
    batches: float
    """Batches a second, all workers together."""
    capacity: float
    """Transactions a second that the workers can apply at most."""
    statements: float
    """Data statements in a batch, the ledger's included."""
    sizes: TransactionBytes


def estimate(load: AssumedLoad, sizes: TransactionBytes | None = None) -> BatchEstimate:
    """Estimate the batches of a load; above the workers' capacity, those of the capacity."""
    sizes = sizes or transaction_bytes()
    largest = min(
        load.batch_max_messages,
        load.batch_max_bytes / sizes.body,
        sql.MAX_REQUEST_BYTES / sizes.script,
    )
    capacity = load.workers * largest / load.job_seconds
    applied = min(load.rate, capacity)
    batch = min(max(applied / load.workers * load.job_seconds, 1.0), largest)
    tables = min(load.tables / load.workers, batch, cloud_limits.TABLES_A_TRANSACTION.value - 1)
    statements = max(tables, 1.0) * load.column_sets * 2 + 1
    return BatchEstimate(batch, applied / batch, capacity, statements, sizes)
