"""What a rate costs on Google's services, and which quotas it comes near. Pure arithmetic.

How a worker behaves under load is simple enough to reckon with: it has one batch in flight, and
gathers the next meanwhile, so its batches are as large as what comes in during one job.
"""

import math
from typing import Final, NamedTuple

import schema
from ops.bench import limits
from ops.bench.batches import deliveries
from ops.bench.limits import Limit
from ops.bench.results import Grid, Result
from workers import ledger, sql
from workers.entry import decode
from workers.fold import fold

DAY: Final = 86_400
_CALLS_A_BATCH: Final = 4  # jobs.insert, jobs.get, jobs.getQueryResults, jobs.get
_LEDGER_KEY_BYTES: Final = (2 + 32) + (2 + 64)
"""Of a ledger row's `id` and `sha256`, which the guard reads."""
_SAMPLE: Final = 1_000
_NEAR: Final = 0.5
_METHOD: Final = """\
Arithmetic from the settings and a rate, with no network. Transactions are of two activities, a
delete and an insert of five columns, and their bytes are those that the server and the workers
really make of them. A worker's batch is what came in during its last job."""


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
    attributes = [schema.attributes(entry.message) for entry in entries]
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
    messages = min(int(sql.MAX_REQUEST_BYTES / weights.script), 10_000)
    size = min(int(messages * weights.body), 8_000_000)
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


class Line(NamedTuple):
    """One figure: what it is, its text, and how much of a limit it takes."""

    what: str
    value: float
    unit: str
    limit: Limit | None = None

    @property
    def share(self) -> float | None:
        """The part of the limit that is taken."""
        return None if self.limit is None else self.value / self.limit.value


def lines(load: Load, found: Estimate) -> list[Line]:
    """Set every figure of an estimate beside its quota."""
    weights = found.weights
    done = found.batch * found.batches
    each_worker = 10 / load.job_seconds  # jobs in ten seconds, at the most
    on_ledger = found.batches * 10
    busiest = min(each_worker, found.batches * 10) * 2 * load.column_sets
    calls = found.batches
    bodies = weights.message * done
    return [
        Line("transactions a batch", found.batch, ""),
        Line("BigQuery jobs", found.batches * DAY, "/day"),
        Line("calls of one BigQuery method", calls, "/s", limits.CALLS_A_SECOND),
        Line("DML statements", found.batches * found.statements * DAY, "/day"),
        Line("… on one table", busiest, "/10 s", limits.DML_PER_TABLE_10_S),
        Line("… on the ledger", on_ledger, "/10 s", limits.DML_PER_TABLE_10_S),
        Line("INSERTs into the ledger at once", load.workers, "", limits.INSERTS_AT_ONCE),
        Line("DELETEs on one table at once", 1, "", limits.MUTATIONS_AT_ONCE),
        Line("a batch's request", found.batch * weights.script, " bytes", limits.REQUEST_BYTES),
        Line(
            "one table's messages, spread evenly",
            bodies / load.tables,
            " bytes/s",
            limits.KEY_BYTES_A_SECOND,
        ),
        Line("all messages", bodies, " bytes/s", limits.PUBLISHED_BYTES_A_SECOND),
    ]


def dollars(load: Load, found: Estimate) -> list[Line]:
    """Reckon a day's bill on demand: Pub/Sub both ways, and the bytes that the statements read."""
    done = found.batch * found.batches
    published = max(found.weights.message * done, limits.LEAST_PUBSUB_BYTES.value * done)
    delivered = found.weights.message * done
    own_tables = (found.statements - 1) / 2
    deletes = found.batches * own_tables * max(load.table_bytes, limits.LEAST_QUERY_BYTES.value)
    rows = done * DAY * load.ledger_days
    guard = found.batches * max(rows * _LEDGER_KEY_BYTES, limits.LEAST_QUERY_BYTES.value)
    scanned = limits.DOLLARS_A_TIB_SCANNED
    moved = limits.DOLLARS_A_TIB_PUBLISHED
    tib = 2**40
    return [
        Line("Pub/Sub, published one by one", published * DAY / tib * moved.value, " $", moved),
        Line("Pub/Sub, delivered", delivered * DAY / tib * moved.value, " $", moved),
        Line(
            "BigQuery, tables that DELETEs read", deletes * DAY / tib * scanned.value, " $", scanned
        ),
        Line("BigQuery, the ledger's guard", guard * DAY / tib * scanned.value, " $", scanned),
    ]


class _Sources:
    """Numbers the pages that are named, in the order of their first naming."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, page: str) -> str:
        return f"[{self._numbers.setdefault(page, len(self._numbers) + 1)}]"

    def listed(self) -> tuple[str, ...]:
        return tuple(f"[{number}] {page}" for page, number in self._numbers.items())


def _shares(given: list[Line], sources: _Sources) -> tuple[tuple[str, ...], ...]:
    rows = []
    for line in given:
        limit, share, source = "", "", ""
        if line.limit is not None and line.share is not None:
            limit = f"{line.limit.value:,.0f}{line.unit}"
            share = f"{line.share:.0%}" + (" **near**" if line.share >= _NEAR else "")
            source = sources.mark(line.limit.source)
        digits = 0 if line.value >= 10 or line.value.is_integer() else 1  # noqa: PLR2004
        rows.append((line.what, f"{line.value:,.{digits}f}{line.unit}", limit, share, source))
    return tuple(rows)


def _bill(given: list[Line], sources: _Sources) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            line.what,
            f"{line.value:,.2f}",
            f"{line.limit.value:g} $/TiB",
            sources.mark(line.limit.source),
        )
        for line in given
        if line.limit is not None
    )


def _notes(load: Load, found: Estimate, sources: _Sources) -> list[str]:
    notes = []
    if load.rate > found.capacity:
        wanted = math.ceil(load.rate / (found.capacity / load.workers))
        notes.append(
            f"{load.workers} workers do {found.capacity:,.0f} transactions/s at the most, so the"
            f" backlog would grow: {wanted} would keep up, or larger batches."
        )
    notes.append(best_batch(found.weights).says + f" {sources.mark(limits.REQUEST_BYTES.source)}")
    notes.append(
        "On demand, a DELETE is billed for its whole table, and the guard for the ids of the whole"
        f" ledger {sources.mark(limits.DML_BYTES)}. With capacity pricing (slots) nothing is billed"
        " by the byte."
    )
    return notes


def run(load: Load) -> Result:
    """Work a load out."""
    found = estimate(load)
    sources = _Sources()
    grids = (
        Grid(
            f"{load.rate:g} transactions/s, {load.workers} workers, {load.tables} tables,"
            f" {load.job_seconds:g} s a job, BATCH_MAX_MESSAGES={load.batch_max_messages}",
            ("", "figure", "quota", "of it", ""),
            _shares(lines(load, found), sources),
        ),
        Grid(
            f"A day's bill on demand, tables of {load.table_bytes / 1e9:g} GB,"
            f" LEDGER_DAYS={load.ledger_days}",
            ("", "$", "price", ""),
            _bill(dollars(load, found), sources),
        ),
    )
    notes = _notes(load, found, sources)
    return Result(
        bench="cost",
        title="Cost on Google's services",
        method=_METHOD,
        grids=grids,
        notes=(*notes, *sources.listed()),
        data={"load": load._asdict(), "weights": found.weights._asdict()},
    )
