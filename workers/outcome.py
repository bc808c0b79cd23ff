"""What can come of a transaction: the reasons of a rejection, and the record of its settling."""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why a transaction is rejected for good."""

    INVALID_SCHEMA = "invalid_schema"
    TABLE_MISSING = "table_missing"
    COLUMN_MISSING = "column_missing"
    TYPE_CONFLICT = "type_conflict"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    TOO_LARGE = "too_large"
    WAREHOUSE_REJECTED = "warehouse_rejected"


class Rejection(NamedTuple):
    """A reason, and the sentence that a person reads."""

    reason: Reason
    error: str
