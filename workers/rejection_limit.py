"""Circuit breaker: stops a worker that rejects nearly everybody's transactions.

With the wrong dataset or a foreign subscription nearly every transaction of every team is rejected,
each for a fair reason, and a fleet would empty its topic into the dead-letter topic within minutes.
One team's mistakes, however many, must not stop the others: so the limit is passed only when
rejections by the warehouse dominate for several sources and tables.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from schema import Reason

WINDOW = 1_000
"""Outcomes that the share is taken of: the last ones of this worker."""
MIN_REJECTIONS = 100
"""Fewer rejections never stop a worker."""
MIN_SOURCES = 3
"""At least this number of sources must be affected, or all of them.

A worker that has seen one source alone cannot tell its mistakes from a wrong setup: the other teams
may just be silent. So it stops only after a whole window in which nothing was applied.
"""
MIN_TABLES = 3
WAREHOUSE_REASONS = frozenset(
    {
        Reason.TABLE_MISSING,
        Reason.COLUMN_MISSING,
        Reason.TYPE_CONFLICT,
        Reason.WAREHOUSE_REJECTED,
    }
)
"""The reasons that a wrong dataset shows itself by; an invalid body is its sender's fault."""


class TooManyRejected(Exception):
    """The worker must stop; the text gives source, table, reason and count of the rejections."""

    def __init__(self, refused: list["CountedOutcome"], total: int) -> None:
        self.most_frequent = Counter(refused).most_common(3)
        super().__init__(_report(self.most_frequent, len(refused), total))


class CountedOutcome(NamedTuple):
    """One outcome: `reason` is None when the transaction was applied."""

    source: str
    table: str
    reason: Reason | None

    @property
    def refused(self) -> bool:
        return self.reason in WAREHOUSE_REASONS


class RejectionLimit:
    """Counts outcomes as they are committed; `share` is from 0 to 1, and 1 disables the limit."""

    def __init__(self, share: float = 1.0) -> None:
        self._share = share
        self._window: deque[CountedOutcome] = deque(maxlen=WINDOW)

    def admit(self, outcomes: Iterable[CountedOutcome]) -> None:
        """Return when these may be settled too. Raises TooManyRejected."""
        new = list(outcomes)
        refused = [each for each in new if each.refused]
        if self._share >= 1 or not refused:
            return
        window = [*self._window, *new][-WINDOW:]
        refused = [each for each in window if each.refused]
        if len(refused) < MIN_REJECTIONS or len({each.table for each in refused}) < MIN_TABLES:
            return
        totals = Counter(each.source for each in window)
        bad = Counter(each.source for each in refused)
        affected = [source for source in totals if bad[source] > self._share * totals[source]]
        alone = len(totals) == 1 and len(refused) < WINDOW
        if len(affected) >= min(MIN_SOURCES, len(totals)) and not alone:
            raise TooManyRejected(refused, len(window))

    def count(self, outcomes: Iterable[CountedOutcome]) -> None:
        """Add committed outcomes."""
        self._window.extend(outcomes)


def _report(most_frequent: list[tuple[CountedOutcome, int]], refused: int, total: int) -> str:
    worst = "; ".join(
        f"{count:,} of source {each.source or '(none)'} on table {each.table}: {each.reason}"
        for each, count in most_frequent
    )
    return (
        f"{refused:,} of the last {total:,} transactions would be rejected, across sources "
        f"and tables, more than DEAD_LETTER_MAX_SHARE allows: {worst}"
    )
