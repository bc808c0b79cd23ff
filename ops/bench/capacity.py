"""How a load becomes batches: their size, their number, their statements and bytes. Pure.

How a worker behaves under load is simple enough to reckon with: it has one batch in flight, and
gathers the next meanwhile, so its batches are as large as what comes in during one job.
"""

from typing import Final, NamedTuple

from ops.bench import limits
from ops.bench.batches import deliveries
from workers import ledger, sql
from workers.entry import decode
from workers.fold import fold

_SAMPLE: Final = 1_000
_MOST_MESSAGES: Final = 10_000
_MOST_BYTES: Final = 8_000_000
"""What BATCH_MAX_MESSAGES and BATCH_MAX_BYTES may be at the most."""


class Load(NamedTuple):
    """A rate and the settings it meets; sizes in bytes, times in seconds."""

    rate: float = 200.0
    """Transactions a second."""
    workers: int = 2
    tables: int = 20
    column_sets: int = 1
    """Sets of columns by which a table's rows are inserted, and as many by which they go."""
    batch_max_messages: int = 5_000
    batch_max_bytes: int = 4_000_000
    job_seconds: float = 2.5
    ledger_days: int = 30
    table_bytes: float = 1e9
    """Of the average table: a DELETE is billed for all of it."""


class Sample(NamedTuple):
    """Bytes of the average transaction: its body, its message, and its part of a script."""

    body: float
    message: float
    script: float


def sample(count: int = _SAMPLE) -> Sample:
    """Weigh real transactions."""
    given = deliveries(count, 1)
    entries = [decode(each) for each in given]
    activities = [a for e in entries if e.transaction for a in e.transaction.activities]
    rows = [ledger.row(entry, None, "worker_00") for entry in entries]
    settlement = sql.Settlement([entry.message.id for entry in entries], [], rows)
    script = sql.script("project.dataset", fold(activities), settlement)
    attributes = [entry.message.attributes for entry in entries]
    message = sum(
        len(each.data)
        + len(each.ordering_key)
        + sum(len(name) + len(text) for name, text in held.items())
        for each, held in zip(given, attributes, strict=True)
    )
    return Sample(
        body=sum(len(each.data) for each in given) / count,
        message=message / count + limits.MESSAGE_OVERHEAD.value,
        script=sum(len(text.encode()) for text in script.parameters.values()) / count,
    )


class Best(NamedTuple):
    """The largest batch that fits a request, as settings."""

    messages: int
    bytes: int
    says: str


def best_batch(weights: Sample | None = None) -> Best:
    """Find the largest BATCH_MAX_* that BigQuery's request limit allows for such transactions."""
    weights = weights or sample()
    messages = min(int(sql.MAX_REQUEST_BYTES / weights.script), _MOST_MESSAGES)
    size = min(int(messages * weights.body), _MOST_BYTES)
    return Best(
        messages,
        size,
        f"Throughput on a slow warehouse is batch size, and a request of 10 MB bounds the batch:"
        f" transactions like these take {weights.script:,.0f} bytes each in a script, so"
        f" BATCH_MAX_MESSAGES={messages} with BATCH_MAX_BYTES={size} is the most that fits. A batch"
        " past the limit is split and costs a job more, so larger bodies want a smaller number.",
    )


class Estimate(NamedTuple):
    """What a load amounts to."""

    batch: float
    """Transactions in a batch."""
    batches: float
    """Batches a second, all workers together."""
    capacity: float
    """Transactions a second that the workers can do at the most."""
    statements: float
    """Data statements in a batch, the ledger's included."""
    weights: Sample


def estimate(load: Load, weights: Sample | None = None) -> Estimate:
    """Reckon the batches of a load; past the workers' capacity it is the capacity's."""
    weights = weights or sample()
    most = min(
        load.batch_max_messages,
        load.batch_max_bytes / weights.body,
        sql.MAX_REQUEST_BYTES / weights.script,
    )
    capacity = load.workers * most / load.job_seconds
    done = min(load.rate, capacity)
    batch = min(max(done / load.workers * load.job_seconds, 1.0), most)
    own_tables = min(load.tables / load.workers, batch, limits.TABLES_A_TRANSACTION.value - 1)
    statements = max(own_tables, 1.0) * load.column_sets * 2 + 1
    return Estimate(batch, done / batch, capacity, statements, weights)
