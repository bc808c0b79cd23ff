"""How messages were settled: their outcomes, and what is counted of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from ops.runtime import metrics
from schema import Rejection
from workers.decode import DecodedMessage
from workers.plan import Plan
from workers.rejection_limit import CountedOutcome
from workers.table_change import TableChange


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How a message was settled: `rejection` is None when it was applied, now or earlier."""

    message: DecodedMessage
    rejection: Rejection | None


def counted(plan: Plan) -> list[CountedOutcome]:
    """Return what a plan's outcomes are to the rejection limit."""
    return [
        CountedOutcome(
            message.message.source,
            message.transaction.activities[0].table if message.transaction else "",
            rejection.reason if rejection else None,
        )
        for message, rejection in plan.settled
    ]


def count_in_metrics(plan: Plan, changes: Iterable[TableChange]) -> None:
    """Add a committed plan and its net effect to the metrics."""
    now = datetime.now(UTC)
    for settled, rejection in plan.settled:
        tables = settled.transaction.tables if settled.transaction else ()
        outcome = "rejected" if rejection else "applied"
        metrics.count_transaction(outcome, settled.message.source, tables)
    metrics.APPLIED.inc(len(plan.accepted))
    metrics.BATCH_TRANSACTIONS.observe(len(plan.accepted) + len(plan.rejected))
    for message in plan.accepted:
        received = datetime.fromisoformat(message.message.received_at)
        metrics.END_TO_END_SECONDS.observe(max((now - received).total_seconds(), 0))
    metrics.ACTIVITIES_IN.inc(sum(len(message.activities) for message in plan.accepted))
    for _, rejection in plan.rejected:
        metrics.DEAD_LETTERED.labels(reason=rejection.reason.value).inc()
    for change in changes:
        for operation, row_sets in (("delete", change.deletes), ("insert", change.inserts)):
            rows = sum(len(row_set.rows) for row_set in row_sets)
            metrics.ROWS_OUT.labels(operation=operation).inc(rows)
        if change.update:
            metrics.ROWS_OUT.labels(operation="update").inc(len(change.update.rows))
