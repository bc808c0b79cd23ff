"""Dead letters as Pub/Sub delivers them."""

import json
from datetime import UTC, datetime, timedelta

from google.pubsub_v1 import PubsubMessage, ReceivedMessage

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def received(id_: str, data: object, minutes: int = 0, key: str = "t") -> ReceivedMessage:
    message = PubsubMessage(
        data=json.dumps(data).encode(),
        attributes={"id": id_, "reason": "table_missing", "error": "because", "source": "shop"},
        ordering_key=key,
        publish_time=NOW - timedelta(minutes=minutes),
    )
    return ReceivedMessage(ack_id=f"{id_}-{minutes}", message=message)
