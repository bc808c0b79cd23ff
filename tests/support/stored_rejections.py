"""Rows of `gatekeeper_rejected` as BigQuery returns them."""

import hashlib
import json
from datetime import timedelta
from typing import Any

from ops.rejections.stored_rejection import StoredRejection
from tests.support.dead_letters import NOW


def rejected_row(id_: str = "a1", data: object = 1, lane: str = "lane-05") -> dict[str, Any]:
    body = json.dumps(data)
    return {
        "id": id_,
        "sha256": hashlib.sha256(body.encode()).hexdigest(),
        "reason": "table_missing",
        "error": "because",
        "source": "shop",
        "tables": "orders,lines",
        "ordering_key": "orders",
        "lane": lane,
        "received_at": NOW - timedelta(minutes=2),
        "settled_at": NOW - timedelta(minutes=1),
        "body_bytes": len(body),
        "body": body,
        "raw": None,
    }


def stored(id_: str = "a1", data: object = 1, lane: str = "lane-05") -> StoredRejection:
    return StoredRejection.read(rejected_row(id_, data, lane))
