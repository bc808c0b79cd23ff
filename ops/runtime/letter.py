"""A dead letter: a rejected transaction with the reason, as the workers published it. Pure."""

from datetime import datetime
from typing import Any, NamedTuple, Self

from schema import InvalidJSON, loads, read_message


class DeadLetter(NamedTuple):
    """A rejected transaction, known by its id and the hash of its body.

    `since` is when it became a dead letter. `tables` are those it names, in order, as far as its
    body can be parsed.
    """

    id: str
    sha256: str
    reason: str
    error: str
    source: str
    since: datetime
    tables: tuple[str, ...]

    @classmethod
    def read(cls, received: Any) -> Self:
        """Parse a `google.pubsub_v1.ReceivedMessage`; never fails."""
        message = received.message
        attributes = dict(message.attributes)
        since = message.publish_time
        transaction = read_message(
            message.data, attributes, message.message_id, since.isoformat(), message.ordering_key
        )
        return cls(
            transaction.id,
            transaction.sha256,
            attributes.get("reason", "unknown"),
            attributes.get("error", ""),
            transaction.source,
            since,
            tables(message.data),
        )


def tables(data: bytes) -> tuple[str, ...]:
    """Return the tables that a body names, each once, in order; none if it cannot be parsed."""
    try:
        payload = loads(data)
    except InvalidJSON:
        return ()
    activities = payload.get("activities") if isinstance(payload, dict) else None
    if not isinstance(activities, list):
        return ()
    named = (each.get("table") for each in activities if isinstance(each, dict))
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))
