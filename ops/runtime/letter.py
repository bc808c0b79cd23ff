"""A dead letter: a rejected transaction with the reason, kept for a person. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from schema import MAX_LANES, InvalidJSON, loads, read_message

# What the workers add to a rejected transaction's own attributes.
_ADDED = ("reason", "error", "trimmed")


@dataclass(slots=True, eq=False, kw_only=True)
class DeadLetter:
    """A rejected transaction; `ack_ids` has one for each copy that was delivered.

    Its identity is its id and the hash of its body: an id that was used twice has two letters.
    `since` is when it became a dead letter. `tables` are those it names, in order, as far as its
    body can be parsed.
    """

    id: str
    sha256: str
    reason: str
    error: str
    source: str
    received_at: str
    ordering_key: str
    since: datetime
    data: bytes
    attributes: Mapping[str, str]
    tables: tuple[str, ...]
    lane: int = 0
    ack_ids: list[str] = field(default_factory=list)

    @property
    def original_attributes(self) -> dict[str, str]:
        """The attributes of the transaction, without those that the workers added."""
        return {name: text for name, text in self.attributes.items() if name not in _ADDED}

    def age_seconds(self, now: datetime) -> float:
        return max((now - self.since).total_seconds(), 0.0)

    @classmethod
    def read(cls, received: Any) -> Self:
        """Parse a `google.pubsub_v1.ReceivedMessage`; never fails."""
        message = received.message
        attributes = dict(message.attributes)
        since = message.publish_time
        transaction = read_message(
            message.data,
            attributes,
            message.message_id,
            since.isoformat(),
            message.ordering_key,
            MAX_LANES,  # a dead letter's ordering key is its lane's name
        )
        return cls(
            id=transaction.id,
            sha256=transaction.sha256,
            reason=attributes.get("reason", "unknown"),
            error=attributes.get("error", ""),
            source=transaction.source,
            received_at=transaction.received_at,
            ordering_key=message.ordering_key,
            lane=transaction.lane,
            since=since,
            data=message.data,
            attributes=attributes,
            tables=tables(message.data),
            ack_ids=[received.ack_id],
        )


def merge_copies(received: Iterable[Any]) -> list[DeadLetter]:
    """Return the dead letters of some deliveries, oldest first; copies of one become one."""
    letters: dict[tuple[str, str], DeadLetter] = {}
    for letter in sorted(map(DeadLetter.read, received), key=lambda each: each.since):
        known = letters.setdefault((letter.id, letter.sha256), letter)
        if known is not letter:
            known.ack_ids += letter.ack_ids
    return list(letters.values())


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
