"""How many transactions the ledger holds as rejected, by reason."""

from google.api_core.exceptions import NotFound
from requests.exceptions import ConnectionError as HttpUnreachable

from ops.runtime import clients
from ops.runtime.bigquery import query
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE

_SQL = (
    "SELECT reason, COUNT(*) AS rejected "  # noqa: S608  # the table's name is a constant
    f"FROM {LEDGER_TABLE} WHERE state = 'rejected' GROUP BY reason ORDER BY rejected DESC, reason"
)


def count(settings: Settings, timeout: float) -> str:
    """Return the counts as a line of text.

    Raises ConnectionError, LookupError, or what BigQuery's client raises.
    """
    client = clients.warehouse(settings)
    try:
        rows = list(query(client, _SQL, timeout=timeout, default_dataset=settings.dataset_path))
    except NotFound as error:
        raise LookupError("the ledger does not exist: `gatekeeper provision` makes it") from error
    except HttpUnreachable as error:
        raise ConnectionError("BigQuery does not answer") from error
    finally:
        client.close()  # type: ignore[no-untyped-call]
    if not rows:
        return f"none in the last {settings.ledger_days} days"
    parts = ", ".join(f"{row['reason']} {row['rejected']:,}" for row in rows)
    total = sum(row["rejected"] for row in rows)
    return f"{total:,} in the last {settings.ledger_days} days: {parts}"
