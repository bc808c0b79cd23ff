"""The ledger: one row for each settled transaction, and the bodies of the rejected ones.

Workers write it, servers and commands read it.

An id has one row for each body sent with it. The first settled body is the transaction. The others
are rejected as `idempotency_conflict`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, Literal, NamedTuple

LEDGER_TABLE: Final = "gatekeeper_ledger"
"""A view over the lanes' tables."""
REJECTED_TABLE: Final = "gatekeeper_rejected"
"""A view over the lanes' tables."""
RESUMES_TABLE: Final = "gatekeeper_resumes"
"""One row for each `gatekeeper resume`."""
MAX_RAW_BYTES: Final = 6_500_000
"""Of a body that is no text and is kept: base64 has 4 bytes for 3, 8.7 MB of the 9.5 that a request
may have. The largest MAX_BODY_BYTES is 5 MB."""
LEDGER_STATES: Final = ("applied", "rejected")

LEDGER_VERSION: Final = 2
"""Of these tables, in the dataset's label LEDGER_LABEL. A change that earlier workers cannot work
with makes it one more; a new column that may be NULL does not."""
LEDGER_LABEL: Final = "gatekeeper_ledger"


class Reason(StrEnum):
    """Why a transaction is permanently rejected."""

    INVALID_SCHEMA = "invalid_schema"
    CONTRACT = "contract"
    TABLE_MISSING = "table_missing"
    COLUMN_MISSING = "column_missing"
    TYPE_CONFLICT = "type_conflict"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    WAREHOUSE_REJECTED = "warehouse_rejected"


class Rejection(NamedTuple):
    """A reason, and the sentence that a person reads."""

    reason: Reason
    error: str


type Settled = Mapping[str, Mapping[str, Rejection | None]]
"""What the ledger holds: id → sha256 → the rejection, None when it was applied."""


def settled_rows(rows: Iterable[Mapping[str, str | None]]) -> Settled:
    """Group ledger rows that were looked up."""
    found: dict[str, dict[str, Rejection | None]] = {}
    for row in rows:
        reason = row["reason"]
        rejection = Rejection(Reason(reason), row["error"] or "") if reason else None
        found.setdefault(row["id"] or "", {})[row["sha256"] or ""] = rejection
    return found


def ledger_table(lane: int) -> str:
    """Return the table of a lane's settled transactions."""
    return f"gatekeeper_ledger_{lane:02}"


def rejected_table(lane: int) -> str:
    """Return the table of a lane's rejected transactions, with their bodies."""
    return f"gatekeeper_rejected_{lane:02}"


def head_table(lane: int) -> str:
    """Return the table whose one row every commit in the lane changes."""
    return f"gatekeeper_lane_{lane:02}"


class LedgerColumn(NamedTuple):
    name: str
    type: Literal["BYTES", "INT64", "STRING", "TIMESTAMP"]
    mode: Literal["NULLABLE", "REQUIRED"]
    description: str


LEDGER_COLUMNS: Final = (
    LedgerColumn("id", "STRING", "REQUIRED", "The transaction's id"),
    LedgerColumn("state", "STRING", "REQUIRED", "applied or rejected"),
    LedgerColumn("reason", "STRING", "NULLABLE", "Why it was rejected: one of a closed set"),
    LedgerColumn("error", "STRING", "NULLABLE", "The rejection in a sentence"),
    LedgerColumn("source", "STRING", "NULLABLE", "The API key's name that sent it"),
    LedgerColumn("ordering_key", "STRING", "NULLABLE", "The client's ordering key"),
    LedgerColumn("lane", "STRING", "REQUIRED", "The lane: lane-07"),
    LedgerColumn("sha256", "STRING", "REQUIRED", "The body's hash, hexadecimal"),
    LedgerColumn("activities", "INT64", "NULLABLE", "How many activities it has"),
    LedgerColumn("received_at", "TIMESTAMP", "NULLABLE", "When the server received it"),
    LedgerColumn("settled_at", "TIMESTAMP", "REQUIRED", "When the outcome was committed"),
    LedgerColumn("worker", "STRING", "NULLABLE", "The process that settled it"),
)

REJECTED_COLUMNS: Final = (
    LedgerColumn("id", "STRING", "REQUIRED", "The transaction's id"),
    LedgerColumn("sha256", "STRING", "REQUIRED", "The body's hash, hexadecimal"),
    LedgerColumn("reason", "STRING", "REQUIRED", "Why it was rejected: one of a closed set"),
    LedgerColumn("error", "STRING", "NULLABLE", "The rejection in a sentence"),
    LedgerColumn("source", "STRING", "NULLABLE", "The API key's name that sent it"),
    LedgerColumn("tables", "STRING", "NULLABLE", "The tables that it names, with commas between"),
    LedgerColumn("ordering_key", "STRING", "NULLABLE", "The client's ordering key"),
    LedgerColumn("lane", "STRING", "REQUIRED", "The lane: lane-07"),
    LedgerColumn("received_at", "TIMESTAMP", "NULLABLE", "When the server received it"),
    LedgerColumn("settled_at", "TIMESTAMP", "REQUIRED", "When the rejection was committed"),
    LedgerColumn("worker", "STRING", "NULLABLE", "The process that settled it"),
    LedgerColumn("body_bytes", "INT64", "REQUIRED", "The body's size"),
    LedgerColumn("body", "STRING", "NULLABLE", "The body, if it is text of at most 1 MB"),
    LedgerColumn("raw", "BYTES", "NULLABLE", "The body otherwise, up to 6.5 MB"),
    LedgerColumn("resolution", "STRING", "NULLABLE", "replayed or discarded; NULL while open"),
    LedgerColumn("resolved_at", "TIMESTAMP", "NULLABLE", "When it was replayed or discarded"),
)
