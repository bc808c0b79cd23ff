"""What a rate costs on Google's services, and which quotas it comes near. Pure arithmetic."""

import math
from typing import Final, NamedTuple

from ops.bench import limits
from ops.bench.capacity import Estimate, Load, best_batch, estimate
from ops.bench.limits import Limit
from ops.bench.results import Grid, Result

DAY: Final = 86_400
_CALLS_A_BATCH: Final = 4  # jobs.insert, jobs.get, jobs.getQueryResults, jobs.get
_LEDGER_ID_BYTES: Final = 2 + 32
"""Of a ledger row's `id`, which the guard reads."""
_NEAR: Final = 0.5
_METHOD: Final = """\
Arithmetic from the settings and a rate, with no network. Transactions are of two activities, a
delete and an insert of five columns, and their bytes are those that the server and the workers
really make of them. A worker's batch is what came in during its last job."""


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
    guard = found.batches * max(rows * _LEDGER_ID_BYTES, limits.LEAST_QUERY_BYTES.value)
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
