"""Builds what workers work on: activities, bodies, deliveries, decoded messages."""

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

from workers.decode import DecodedMessage, decode
from workers.lane_queues import Delivery

PUBLISHED_AT = "2026-03-01T12:00:00+00:00"
_numbers = itertools.count(1)


def columns(values: Mapping[str, tuple[str, Any]]) -> dict[str, list[Any]]:
    """Return the three column lists for `{name: (type, value)}`."""
    return {
        "col_names": list(values),
        "col_types": [kind for kind, _ in values.values()],
        "col_values": [value for _, value in values.values()],
    }


def insert(table: str, **values: tuple[str, Any]) -> dict[str, Any]:
    """Return an insert: `insert("t", a=("INTEGER", 1))`."""
    return {"operation": "insert", "table": table, **columns(values)}


def delete(table: str, **values: tuple[str, Any]) -> dict[str, Any]:
    """Return a delete of the rows that match."""
    return {"operation": "delete", "table": table, "value_to_delete": columns(values)}


def update(
    table: str, match: Mapping[str, tuple[str, Any]], **values: tuple[str, Any]
) -> dict[str, Any]:
    """Return an update of the rows that match."""
    return {
        "operation": "update",
        "table": table,
        "value_to_match": columns(match),
        **columns(values),
    }


def upsert(table: str, *key: str, **values: tuple[str, Any]) -> dict[str, Any]:
    """Return an upsert: `upsert("t", "a", a=("INTEGER", 1))`. Without names it has no `key`."""
    given = {"key": list(key)} if key else {}
    return {"operation": "upsert", "table": table, **given, **columns(values)}


def number(value: int | None) -> tuple[str, int | None]:
    """Return an INTEGER."""
    return "INTEGER", value


def text(value: str | None) -> tuple[str, str | None]:
    """Return a TEXT."""
    return "TEXT", value


def body(*activities: dict[str, Any]) -> bytes:
    """Return the body of a transaction."""
    return json.dumps({"activities": activities}).encode()


def delivery(
    data: bytes,
    *,
    id: str | None = None,  # noqa: A002  # the attribute's name
    ordering_key: str = "",
    lease_until: float = math.inf,
    **attributes: str,
) -> Delivery:
    """Return a message as pulled; without an id it has no attributes but those given."""
    serial = next(_numbers)
    if id is not None:
        attributes = {"id": id, "source": "a test", "received_at": PUBLISHED_AT, **attributes}
    return Delivery(
        ack_id=f"ack-{serial}",
        message_id=f"message-{serial}",
        data=data,
        attributes=attributes,
        ordering_key=ordering_key,
        publish_time=PUBLISHED_AT,
        lease_until=lease_until,
    )


def decoded(*activities: dict[str, Any], id: str | None = None) -> DecodedMessage:  # noqa: A002
    """Return the decoded message of a transaction, with a new id unless one is given."""
    return decode(delivery(body(*activities), id=id or f"id-{next(_numbers)}"))
