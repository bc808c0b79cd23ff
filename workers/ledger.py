"""The ledger: one row for every settled transaction, written in the transaction that settles it.

A transaction is known by its id and its body's hash: the same id with another body is a conflict,
which gets a row of its own.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from google.cloud import bigquery

from schema import LEDGER_COLUMNS
from workers.entry import Entry
from workers.outcome import Reason, Rejection

LEDGER_SCHEMA = tuple(
    bigquery.SchemaField(column.name, column.type, mode=column.mode, description=column.description)
    for column in LEDGER_COLUMNS
)
MAX_ERROR_CHARACTERS = 1_000

type Key = tuple[str, str]  # id, sha256


class Settled(NamedTuple):
    """An outcome that the ledger holds; `rejection` is None when it was applied."""

    rejection: Rejection | None


def row(entry: Entry, rejection: Rejection | None, worker: str) -> list[str | None]:
    """Return an entry's ledger row as texts, in the order of `LEDGER_SCHEMA` less `settled_at`."""
    message, transaction = entry.message, entry.transaction
    return [
        message.id,
        "rejected" if rejection else "applied",
        rejection.reason.value if rejection else None,
        rejection.error[:MAX_ERROR_CHARACTERS] if rejection else None,
        message.source,
        message.ordering_key,
        message.sha256,
        str(len(transaction.activities)) if transaction else None,
        message.received_at,
        worker,
    ]


def settled(rows: Iterable[Mapping[str, str | None]]) -> dict[str, dict[str, Settled]]:
    """Group looked-up ledger rows: id → sha256 → outcome."""
    found: dict[str, dict[str, Settled]] = {}
    for each in rows:
        reason = each["reason"]
        rejection = Rejection(Reason(reason), each["error"] or "") if reason else None
        found.setdefault(each["id"] or "", {})[each["sha256"] or ""] = Settled(rejection)
    return found
