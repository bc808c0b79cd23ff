"""What a load costs on Google's services, and how near it comes to their quotas. No measurement."""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from ops.bench import cloud_limits
from ops.bench.billed_load import DAY, billed, cheapest, dollars, prices, slot_dollars
from ops.bench.capacity import AssumedLoad, BatchEstimate, check, estimate, largest_batch
from ops.bench.cloud_limits import TIB, CloudLimit
from ops.bench.results import BenchResult, ResultTable, TargetCheck
from ops.bench.samples import Samples

_NEAR: Final = 0.5
TARGET_LOAD: Final = AssumedLoad(rate=100, tables=40, table_bytes=1e9, table_partitions=30)
"""With each statement bounded to one partition."""
_METHOD: Final = """\
This is arithmetic from the settings and a rate, without any network. A transaction has two
activities on one table, a delete and an insert of five columns; its bytes are those that the server
and the workers really produce. Its ordering key is the table, so each table is in one lane. A
lane's batch is one job: an UPDATE of the lane's head, which reads the ledger; a MERGE for each
table; an INSERT into the ledger."""


class CostLine(NamedTuple):
    """One figure with its unit, and the limit or the price that belongs to it."""

    name: str
    value: float
    unit: str
    limit: CloudLimit | None = None


def quota_lines(load: AssumedLoad, found: BatchEstimate) -> list[CostLine]:
    message_bytes = found.sizes.message * found.batch * found.batches
    dml, key = cloud_limits.DML_PER_TABLE_10_S, cloud_limits.KEY_BYTES_A_SECOND
    scanned = billed(load, found).total * DAY / TIB
    return [
        CostLine("transactions a batch", found.batch, ""),
        CostLine("seconds between batches of a lane", found.seconds, " s"),
        CostLine("seconds of a batch's job", found.job_seconds, " s"),
        CostLine("BigQuery jobs", found.batches * DAY, "/day"),
        CostLine("scanned on demand", scanned, " TiB/day", cloud_limits.TIB_SCANNED_A_DAY),
        CostLine("calls of one BigQuery method", found.batches, "/s", cloud_limits.CALLS_A_SECOND),
        CostLine("DML statements", found.batches * found.statements * DAY, "/day"),
        CostLine("… on one table, a head or a ledger", 10 / found.seconds, "/10 s", dml),
        CostLine("tables in a job", found.tables + 2, "", cloud_limits.TABLES_A_TRANSACTION),
        CostLine("concurrent INSERTs on one ledger", 1, "", cloud_limits.CONCURRENT_INSERTS),
        CostLine("concurrent MERGEs on one table", 1, "", cloud_limits.CONCURRENT_MUTATIONS),
        CostLine(
            "a batch's request",
            found.batch * found.sizes.script,
            " bytes",
            cloud_limits.REQUEST_BYTES,
        ),
        CostLine("messages of one lane (average)", message_bytes / found.lanes, " bytes/s", key),
        CostLine("all messages", message_bytes, " bytes/s", cloud_limits.PUBLISHED_BYTES_A_SECOND),
    ]


def cost_lines(load: AssumedLoad, found: BatchEstimate) -> list[CostLine]:
    """Return the dollars of a day on demand: Pub/Sub both ways, and the bytes that queries read."""
    applied = found.batch * found.batches
    published = max(found.sizes.message, cloud_limits.MIN_PUBSUB_BYTES.value) * applied
    moved = cloud_limits.DOLLARS_A_TIB_PUBLISHED
    lines = [
        CostLine(name, size * DAY / TIB * moved.value, " $", moved)
        for name, size in (
            ("Pub/Sub, each transaction published alone", published),
            ("Pub/Sub, delivered", found.sizes.message * applied),
        )
    ]
    bill = billed(load, found)
    names = {
        "head": "BigQuery, the heads' UPDATEs and their guard",
        "tables": "BigQuery, the tables' MERGEs",
        "ledger": "BigQuery, the ledgers' INSERTs",
    }
    price = cloud_limits.DOLLARS_A_TIB_SCANNED
    lines += [
        CostLine(text, dollars(getattr(bill, name)), " $", price) for name, text in names.items()
    ]
    lines.append(CostLine("BigQuery on demand", dollars(bill.total), " $", price))
    slots = cloud_limits.DOLLARS_A_SLOT_HOUR
    lines.append(CostLine("BigQuery with slots instead", slot_dollars(load, found), " $", slots))
    return lines


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
    near = " **near**" if share > _NEAR else ""
    quota = f"{line.limit.value:,.0f}{line.unit}"
    return (line.name, figure, quota, f"{share:.0%}{near}", sources.mark(line.limit.source))


def _cost_rows(lines: Iterable[CostLine], sources: _Sources) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            line.name,
            f"{line.value:,.2f}",
            f"{line.limit.value:g} $/{_measure(line.limit)}",
            sources.mark(line.limit.source),
        )
        for line in lines
        if line.limit is not None
    )


def _measure(price: CloudLimit) -> str:
    return "slot hour" if price is cloud_limits.DOLLARS_A_SLOT_HOUR else "TiB"


def _notes(load: AssumedLoad, found: BatchEstimate, sources: _Sources) -> list[str]:
    notes = []
    if load.rate > found.capacity:
        needed = math.ceil(load.rate / (found.capacity / load.workers))
        notes.append(
            f"{load.workers} workers apply {found.capacity:,.0f} transactions/s at most, so the"
            f" backlog would grow. Use {needed} workers or larger batches."
        )
    notes.append(_cheapest_note(load))
    wide = billed(load, found, wide=True).total - billed(load, found).total
    notes.append(
        f"A batch with an Idempotency-Key in it reads {load.idempotency_hours} hours of its lane's"
        f" ledger. If every batch has one, that adds {dollars(wide):,.2f} $ a day."
    )
    notes.append(_partition_note(load, found, sources))
    notes.append(
        "An Ordering-Key for each customer, say, instead of the table's name spreads each table"
        f" over up to {load.lanes} lanes, and so multiplies the cost of its MERGEs."
    )
    minimum, dml = cloud_limits.MIN_QUERY_BYTES, cloud_limits.DML_BYTES
    notes.append(
        "On demand, each statement bills at least 10 MB for each table that it names"
        f" {sources.mark(minimum.source)}; a MERGE also bills its whole table, or the partitions"
        f" that it changes {sources.mark(dml.source)}. Slots bill no bytes. They come in steps of"
        f" {cloud_limits.SLOT_STEP.value:g} {sources.mark(cloud_limits.SLOT_STEP.source)}; 2 slot"
        " seconds a statement, and 10 for each GB that it reads, are assumptions: measure yours."
    )
    advice = largest_batch(found.sizes).advice
    notes.append(f"{advice} {sources.mark(cloud_limits.REQUEST_BYTES.source)}")
    return notes


def _cheapest_note(load: AssumedLoad) -> str:
    best = cheapest(load)
    demand, slots = prices(best)
    model = "on demand" if demand <= slots else "with slots (Standard edition)"
    return (
        f"The cheapest settings for a freshness of {load.freshness:g} s: FRESHNESS_SECONDS="
        f"{load.freshness:g}, LANES={best.lanes} (fixed at provision), {model}:"
        f" {min(demand, slots):,.2f} $ a day for BigQuery (on demand {demand:,.2f} $, slots"
        f" {slots:,.2f} $). They apply {estimate(best).capacity:,.0f} transactions/s at most. Twice"
        " FRESHNESS_SECONDS costs about half as much on demand."
    )


def _partition_note(load: AssumedLoad, found: BatchEstimate, sources: _Sources) -> str:
    whole = load._replace(partitions=load.table_partitions)
    page = sources.mark(cloud_limits.PRUNING.source)
    if load.partitions == load.table_partitions:
        return (
            "Each MERGE is billed for its whole table: --table-partitions and --partitions say how"
            " many of a table's partitions a statement is bounded to."
        )
    return (
        f"Each MERGE is billed for {load.partitions} of {load.table_partitions} partitions. Workers"
        " bound the partition column by constants where every delete of a batch names that column"
        f" {page}. A statement without the bound bills the whole table: on demand"
        f" {dollars(billed(whole, found).total):,.2f} $ a day."
    )


def _target(freshness: int) -> TargetCheck:
    on_demand, _ = prices(TARGET_LOAD._replace(freshness=freshness))
    return TargetCheck(f"cost_{freshness}", Samples.of([on_demand]))


def run(load: AssumedLoad) -> BenchResult:
    """Estimate; raises RunFailed for a load that cannot be."""
    found = estimate(check(load))
    sources = _Sources()
    quotas = ResultTable(
        f"{load.rate:g} transactions/s, {load.workers} workers, {load.tables} tables in"
        f" {load.lanes} lanes, FRESHNESS_SECONDS={load.freshness:g},"
        f" {load.statement_seconds:g} s a statement",
        ("", "figure", "quota", "used", ""),
        tuple(_quota_row(line, sources) for line in quota_lines(load, found)),
    )
    partitioned = (
        f", {load.partitions} of {load.table_partitions} partitions a batch"
        if load.table_partitions > 1
        else ", not partitioned"
    )
    costs = ResultTable(
        f"Cost of a day, tables of {load.table_bytes / 1e9:g} GB{partitioned}",
        ("", "$", "price", ""),
        _cost_rows(cost_lines(load, found), sources),
    )
    notes = _notes(load, found, sources)
    return BenchResult(
        title="Cost on Google's services",
        method=_METHOD,
        checks=tuple(map(_target, (60, 10))),
        tables=(quotas, costs),
        notes=(*notes, *sources.listed()),
        data={"load": load, "sizes": found.sizes, "billed": billed(load, found)},
    )
