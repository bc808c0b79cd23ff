"""Counts the rejected transactions in the ledger by reason."""

import contextlib
from typing import NamedTuple

from google.api_core.exceptions import NotFound

from ops.runtime import clients
from ops.runtime.bigquery import UNREACHABLE, query
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE

_SQL = (
    "SELECT reason, COUNT(*) AS rejected "  # noqa: S608  # the table's name is a constant
    f"FROM {LEDGER_TABLE} WHERE state = 'rejected' GROUP BY reason ORDER BY rejected DESC, reason"
)


class RejectionCounts(NamedTuple):
    """Rejected transactions of the last `days` by reason, the most frequent first."""

    days: int
    reasons: dict[str, int]

    def __str__(self) -> str:
        if not self.reasons:
            return f"none in the last {self.days} days"
        parts = ", ".join(f"{reason} {number:,}" for reason, number in self.reasons.items())
        return f"{sum(self.reasons.values()):,} in the last {self.days} days: {parts}"


def count(settings: Settings, timeout: float) -> RejectionCounts:
    """Return the counts.

    Raises ConnectionError, LookupError, or another error of BigQuery's client.
    """
    try:
        with contextlib.closing(clients.warehouse(settings)) as client:
            rows = list(query(client, _SQL, timeout=timeout, default_dataset=settings.dataset_path))
    except NotFound as error:
        raise LookupError(
            "the ledger does not exist: create it with `gatekeeper provision`"
        ) from error
    except UNREACHABLE as error:
        raise ConnectionError("BigQuery does not answer") from error
    return RejectionCounts(settings.ledger_days, {row["reason"]: row["rejected"] for row in rows})
