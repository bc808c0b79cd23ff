"""A delivered message, decoded and checked again, on its way through a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from schema import (
    LANES,
    Activity,
    BadValue,
    InvalidJSON,
    InvalidSchema,
    Message,
    Reason,
    Rejection,
    Transaction,
    canonical,
    check_body,
    faults_of_attributes,
    is_derived_id,
    is_signed,
    parse_type,
    read_message,
)
from workers.lane_queues import Delivery

SHOWN_FAULTS = 5


@dataclass(frozen=True, slots=True, eq=False)
class DecodedMessage:
    """A message and what it holds: a transaction, or the reason why it holds none."""

    delivery: Delivery
    message: Message
    transaction: Transaction | None
    rejection: Rejection | None

    @property
    def key(self) -> tuple[str, str]:
        """The id and the body's hash: the ledger's key for a transaction."""
        return self.message.id, self.message.sha256

    @property
    def activities(self) -> Sequence[Activity]:
        """Empty when it is rejected."""
        return () if self.rejection or not self.transaction else self.transaction.activities


@lru_cache(4_096)  # under load some transactions are of one millisecond
def _moment(text: str) -> str | None:
    """Return a time's canonical text; None where the text is no time."""
    try:
        return canonical(text, parse_type("TIMESTAMP"))
    except BadValue:
        return None


def decode(
    delivery: Delivery, lanes: int = LANES, message_key: bytes | None = None
) -> DecodedMessage:
    """Check a delivery against the rule again: workers trust no publisher. Never fails.

    With a `message_key` only signed messages may have an id that comes from an Idempotency-Key.
    """
    attribute_faults = faults_of_attributes(delivery.attributes)
    message = read_message(
        delivery.data,
        {} if attribute_faults else delivery.attributes,
        delivery.message_id,
        delivery.publish_time,
        delivery.ordering_key,
        lanes,
    )
    if message_key is not None and _is_forged(message, message_key):
        attribute_faults = ["the id is one of an Idempotency-Key, and the message is not signed"]
        message = message._replace(id=delivery.message_id)
    received_at = _moment(message.received_at) or delivery.publish_time
    if received_at != message.received_at:
        message = message._replace(received_at=received_at)
    if attribute_faults:
        return _rejected(delivery, message, "; ".join(attribute_faults[:SHOWN_FAULTS]))
    try:
        return DecodedMessage(delivery, message, check_body(delivery.data, max_faults=1), None)
    except InvalidJSON as fault:
        error = str(fault)
    except InvalidSchema as invalid:
        # The check stops at the first fault: a message may have millions.
        faults = invalid.faults[:SHOWN_FAULTS]
        error = "; ".join(f"{fault.pointer}: {fault.message}" for fault in faults)
    return _rejected(delivery, message, error)


def _is_forged(message: Message, key: bytes) -> bool:
    return is_derived_id(message.id) and not is_signed(message, key)


def _rejected(delivery: Delivery, message: Message, error: str) -> DecodedMessage:
    return DecodedMessage(delivery, message, None, Rejection(Reason.INVALID_SCHEMA, error))
