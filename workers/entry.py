"""An entry: one delivered message, decoded and checked again, on its way through a batch."""

from dataclasses import dataclass
from functools import lru_cache

from schema import (
    BadValue,
    InvalidJSON,
    InvalidSchema,
    Message,
    Transaction,
    canonical,
    check_body,
    parse_type,
    read_message,
)
from workers.delivery import Delivery
from workers.outcome import Reason, Rejection

SHOWN_FAULTS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A message and what it holds: a transaction, or the reason why it holds none."""

    delivery: Delivery
    message: Message
    transaction: Transaction | None
    rejection: Rejection | None

    @property
    def key(self) -> tuple[str, str]:
        """The id and the body's hash: what the ledger knows a transaction by."""
        return self.message.id, self.message.sha256


@lru_cache(4_096)  # under load some transactions are of one millisecond
def _moment(text: str) -> str | None:
    """Return a time's canonical text; None for what is none, as a foreign publisher's may be."""
    try:
        return canonical(text, parse_type("TIMESTAMP"))
    except BadValue:
        return None


def decode(delivery: Delivery) -> Entry:
    """Check a delivery against the rule again: workers trust no publisher."""
    message = read_message(
        delivery.data,
        delivery.attributes,
        delivery.message_id,
        delivery.publish_time,
        delivery.ordering_key,
    )
    received_at = _moment(message.received_at) or delivery.publish_time
    message = Message(
        message.data,
        message.id,
        message.source,
        received_at,
        message.sha256,
        message.ordering_key,
    )
    try:
        return Entry(delivery, message, check_body(delivery.data), None)
    except InvalidJSON as fault:
        error = str(fault)
    except InvalidSchema as invalid:
        shown = [f"{fault.pointer}: {fault.message}" for fault in invalid.faults[:SHOWN_FAULTS]]
        more = len(invalid.faults) - len(shown)
        error = "; ".join(shown) + (f"; and {more} more" if more else "")
    return Entry(delivery, message, None, Rejection(Reason.INVALID_SCHEMA, error))
