"""A row of `gatekeeper_rejected` for a person to decide on. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

from schema import MAX_LANES, lane_of_ordering_key


class StoredRejection(NamedTuple):
    """Its identity is its id and the hash of its body: an id that was used twice has two rows.

    `data` is None where the body was not read, and where it was too large to be stored.
    `ordering_key` is the client's.
    """

    id: str
    sha256: str
    reason: str
    error: str
    source: str
    tables: tuple[str, ...]
    ordering_key: str
    lane: int
    received_at: datetime | None
    settled_at: datetime
    body_bytes: int
    data: bytes | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """Parse a row that BigQuery returned."""
        return cls(
            row["id"],
            row["sha256"],
            row["reason"],
            row["error"] or "",
            row["source"] or "",
            tuple(filter(None, (row["tables"] or "").split(","))),
            row["ordering_key"] or "",
            lane_of_ordering_key(row["lane"], MAX_LANES),
            row["received_at"],
            row["settled_at"],
            row["body_bytes"],
            _data(row),
        )

    def age_seconds(self, now: datetime) -> float:
        return max((now - self.settled_at).total_seconds(), 0.0)


def _data(row: Mapping[str, Any]) -> bytes | None:
    text: str | None = row.get("body")
    raw: bytes | None = row.get("raw")
    return raw if text is None else text.encode()
