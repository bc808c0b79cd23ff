"""Counts the rejected transactions in the ledger by reason."""

import contextlib

from google.api_core.exceptions import NotFound

from ops.runtime import clients
from ops.runtime.bigquery import UNREACHABLE, query
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE

_SQL = (
    "SELECT reason, COUNT(*) AS rejected "  # noqa: S608  # the table's name is a constant
    f"FROM {LEDGER_TABLE} WHERE state = 'rejected' GROUP BY reason ORDER BY rejected DESC, reason"
)


def count(settings: Settings, timeout: float) -> str:
    """Return the counts as a line of text.

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
    if not rows:
        return f"none in the last {settings.ledger_days} days"
    parts = ", ".join(f"{row['reason']} {row['rejected']:,}" for row in rows)
    total = sum(row["rejected"] for row in rows)
    return f"{total:,} in the last {settings.ledger_days} days: {parts}"
