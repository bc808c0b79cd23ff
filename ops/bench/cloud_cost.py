"""What a load costs on Google's services, and how near it comes to their quotas. No measurement."""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from ops.bench import cloud_limits
from ops.bench.capacity import AssumedLoad, BatchEstimate, estimate, largest_batch
from ops.bench.cloud_limits import CloudLimit
from ops.bench.results import BenchResult, ResultTable

_DAY: Final = 86_400
_TIB: Final = 2**40
_LEDGER_ID_BYTES: Final = 2 + 32
"""Of a ledger row's `id`, which the guard reads."""
_NEAR: Final = 0.5
_METHOD: Final = """\
This is arithmetic from the settings and a rate, without any network. A transaction has two
activities, a delete and an insert of five columns; its bytes are those that the server and the
workers really produce. A worker's batch holds what arrived during its last job."""


class CostLine(NamedTuple):
    """One figure with its unit, and the limit or the price that belongs to it."""

    name: str
    value: float
    unit: str
    limit: CloudLimit | None = None


def quota_lines(load: AssumedLoad, found: BatchEstimate) -> list[CostLine]:
    batches = found.batches
    message_bytes = found.sizes.message * found.batch * batches
    on_table = min(10 / load.job_seconds, batches * 10) * 2 * load.column_sets
    dml, key = cloud_limits.DML_PER_TABLE_10_S, cloud_limits.KEY_BYTES_A_SECOND
    request = found.batch * found.sizes.script
    deletes = "concurrent DELETEs on one table"
    return [
        CostLine("transactions a batch", found.batch, ""),
        CostLine("BigQuery jobs", batches * _DAY, "/day"),
        CostLine("calls of one BigQuery method", batches, "/s", cloud_limits.CALLS_A_SECOND),
        CostLine("DML statements", batches * found.statements * _DAY, "/day"),
        CostLine("… on one table", on_table, "/10 s", dml),
        CostLine("… on the ledger", batches * 10, "/10 s", dml),
        CostLine("concurrent ledger INSERTs", load.workers, "", cloud_limits.CONCURRENT_INSERTS),
        CostLine(deletes, 1, "", cloud_limits.CONCURRENT_MUTATIONS),
        CostLine("a batch's request", request, " bytes", cloud_limits.REQUEST_BYTES),
        CostLine("messages of one table (average)", message_bytes / load.tables, " bytes/s", key),
        CostLine("all messages", message_bytes, " bytes/s", cloud_limits.PUBLISHED_BYTES_A_SECOND),
    ]


def cost_lines(load: AssumedLoad, found: BatchEstimate) -> list[CostLine]:
    """Return the dollars of a day on demand: Pub/Sub both ways, and the bytes that queries read."""
    applied = found.batch * found.batches
    published = max(found.sizes.message, cloud_limits.MIN_PUBSUB_BYTES.value) * applied
    least = cloud_limits.MIN_QUERY_BYTES.value
    deletes = found.batches * (found.statements - 1) / 2 * max(load.table_bytes, least)
    ledger = applied * _DAY * load.ledger_days * _LEDGER_ID_BYTES
    guard = found.batches * max(ledger, least)
    moved, scanned = cloud_limits.DOLLARS_A_TIB_PUBLISHED, cloud_limits.DOLLARS_A_TIB_SCANNED
    lines = (
        ("Pub/Sub, each transaction published alone", published, moved),
        ("Pub/Sub, delivered", found.sizes.message * applied, moved),
        ("BigQuery, tables that DELETEs read", deletes, scanned),
        ("BigQuery, the ledger's guard", guard, scanned),
    )
    return [
        CostLine(name, size * _DAY / _TIB * price.value, " $", price) for name, size, price in lines
    ]


class _Sources:
    """Numbers the cited pages in the order in which they first appear."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, page: str) -> str:
        return f"[{self._numbers.setdefault(page, len(self._numbers) + 1)}]"

    def listed(self) -> list[str]:
        return [f"[{number}] {page}" for page, number in self._numbers.items()]


def _quota_row(line: CostLine, sources: _Sources) -> tuple[str, ...]:
    digits = 0 if line.value >= 10 or line.value.is_integer() else 1  # noqa: PLR2004
    figure = f"{line.value:,.{digits}f}{line.unit}"
    if line.limit is None:
        return (line.name, figure, "", "", "")
    share = line.value / line.limit.value
    near = " **near**" if share >= _NEAR else ""
    quota = f"{line.limit.value:,.0f}{line.unit}"
    return (line.name, figure, quota, f"{share:.0%}{near}", sources.mark(line.limit.source))


def _cost_rows(lines: Iterable[CostLine], sources: _Sources) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            line.name,
            f"{line.value:,.2f}",
            f"{line.limit.value:g} $/TiB",
            sources.mark(line.limit.source),
        )
        for line in lines
        if line.limit is not None
    )


def _notes(load: AssumedLoad, found: BatchEstimate, sources: _Sources) -> list[str]:
    notes = []
    if load.rate > found.capacity:
        needed = math.ceil(load.rate / (found.capacity / load.workers))
        notes.append(
            f"{load.workers} workers apply {found.capacity:,.0f} transactions/s at most, so the"
            f" backlog would grow. Use {needed} workers or larger batches."
        )
    advice = largest_batch(found.sizes).advice
    notes.append(f"{advice} {sources.mark(cloud_limits.REQUEST_BYTES.source)}")
    notes.append(
        "On demand, a DELETE is billed for its whole table, and the guard for the ids of the whole"
        f" ledger {sources.mark(cloud_limits.DML_BYTES_PAGE)}. Capacity pricing (slots) does not"
        " bill bytes."
    )
    return notes


def run(load: AssumedLoad) -> BenchResult:
    found = estimate(load)
    sources = _Sources()
    quotas = ResultTable(
        f"{load.rate:g} transactions/s, {load.workers} workers, {load.tables} tables,"
        f" {load.job_seconds:g} s a job, BATCH_MAX_MESSAGES={load.batch_max_messages}",
        ("", "figure", "quota", "used", ""),
        tuple(_quota_row(line, sources) for line in quota_lines(load, found)),
    )
    costs = ResultTable(
        f"Cost of a day on demand, tables of {load.table_bytes / 1e9:g} GB,"
        f" LEDGER_DAYS={load.ledger_days}",
        ("", "$", "price", ""),
        _cost_rows(cost_lines(load, found), sources),
    )
    notes = _notes(load, found, sources)
    return BenchResult(
        title="Cost on Google's services",
        method=_METHOD,
        tables=(quotas, costs),
        notes=(*notes, *sources.listed()),
        data={"load": load, "sizes": found.sizes},
    )
