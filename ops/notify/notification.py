"""What a receiver gets: a CloudEvent about some rejections of one kind. Pure.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md, structured mode.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

MEDIA_TYPE: Final = "application/cloudevents+json"
REJECTED: Final = "gatekeeper.transactions.rejected"
TEST: Final = "gatekeeper.notify.test"
MAX_IDS: Final = 20
"""Transactions that a notification names; `total` has all."""


class Notification(NamedTuple):
    """Rejections of one source, table and reason within a minute; times are seconds since 1970.

    `id` stays the same however often it is sent. `ids` are the first MAX_IDS transactions, `error`
    is that of the first. `type` is REJECTED or TEST.
    """

    id: str
    url: str
    source: str
    table: str
    reason: str
    error: str
    ids: tuple[str, ...]
    first_at: float
    last_at: float
    total: int
    type: str = REJECTED


def sample(url: str, now: float) -> Notification:
    """Return what `gatekeeper notify test` sends: it names no transaction that exists."""
    error = "This is a test. No transaction was rejected."
    ids = ("0" * 32,)
    return Notification(
        f"test_{now:.0f}", url, "test", "orders", "table_missing", error, ids, now, now, 1, TEST
    )


def cloud_event(notification: Notification, origin: str) -> str:
    """Return the body; `origin` says which Gatekeeper it is from, as a URI reference."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": notification.id,
        "source": origin,
        "type": notification.type,
        **({"subject": notification.table} if notification.table else {}),
        "time": _rfc3339(notification.last_at),
        "datacontenttype": "application/json",
        "data": {
            "source": notification.source,
            "table": notification.table,
            "reason": notification.reason,
            "error": notification.error,
            "count": notification.total,
            "ids": notification.ids,
            "first_rejected_at": _rfc3339(notification.first_at),
            "last_rejected_at": _rfc3339(notification.last_at),
        },
    }
    return json.dumps(event)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
