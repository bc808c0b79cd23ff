"""A transaction as a Pub/Sub message, and back."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from schema.activity import Transaction

# https://cloud.google.com/pubsub/quotas#resource_limits
MAX_DATA_BYTES = 10_000_000
MAX_ATTRIBUTE_BYTES = 1_024
MAX_ORDERING_KEY_BYTES = 1_024
MAX_CALL_MESSAGES = 1_000
MAX_CALL_BYTES = 9_500_000  # 10 MB, less the topic's name and the framing


class InvalidMessage(ValueError):
    """Pub/Sub would refuse the message; the text says which part and its limit."""


class Message(NamedTuple):
    """What travels on Pub/Sub: the body as sent, and what the workers need to know about it.

    `received_at` is RFC 3339, `sha256` the hex digest of `data`. `source` is the API key's name,
    or empty.
    """

    data: bytes
    id: str
    source: str
    received_at: str
    sha256: str
    ordering_key: str


def compose(  # noqa: PLR0913  # each is a part of the message, by keyword
    body: bytes,
    transaction: Transaction,
    *,
    id: str,  # noqa: A002  # the attribute's name in the contract
    source: str,
    received_at: str,
    ordering_key: str | None,
) -> Message:
    """Make the message for an accepted body; the ordering key is the first table unless given.

    Raises InvalidMessage past Pub/Sub's limits (https://cloud.google.com/pubsub/quotas): 10 MB of
    data, 1,024 bytes of UTF-8 in an attribute's value and in the ordering key.
    """
    key = ordering_key or transaction.activities[0].table
    message = Message(body, id, source, received_at, _digest(body), key)
    if len(body) > MAX_DATA_BYTES:
        raise InvalidMessage(
            f"the body has {len(body)} bytes and a message holds {MAX_DATA_BYTES}: split it up"
        )
    _check_size("ordering key", key, MAX_ORDERING_KEY_BYTES)
    for name, value in attributes(message).items():
        _check_size(name, value, MAX_ATTRIBUTE_BYTES)
    return message


def attributes(message: Message) -> dict[str, str]:
    """Give the Pub/Sub attributes of a message; the ordering key is a field of its own there."""
    return {
        "id": message.id,
        "source": message.source,
        "received_at": message.received_at,
        "sha256": message.sha256,
    }


def read(
    data: bytes,
    attributes: Mapping[str, str],
    message_id: str,
    publish_time: str,
    ordering_key: str,
) -> Message:
    """Read a message as pulled, from whichever publisher; this never fails.

    What an attribute does not say, Pub/Sub does: its message id, and its publish time (RFC 3339).
    The digest is always that of `data`: a publisher's own claim is not believed.
    """
    return Message(
        data,
        attributes.get("id") or message_id,
        attributes.get("source", ""),
        attributes.get("received_at") or publish_time,
        _digest(data),
        ordering_key,
    )


def publish_calls[T](
    messages: Iterable[T],
    size: Callable[[T], int],
    max_messages: int = MAX_CALL_MESSAGES,
    max_bytes: int = MAX_CALL_BYTES,
) -> Iterator[list[T]]:
    """Cut one ordering key's messages, in order, into what one Publish call may hold.

    `size` returns a message's bytes on the wire. A message that is too large by itself gets a call:
    the service decides about it.
    """
    call: list[T] = []
    total = 0
    for message in messages:
        added = size(message)
        if call and (len(call) == max_messages or total + added > max_bytes):
            yield call
            call, total = [], 0
        call.append(message)
        total += added
    if call:
        yield call


def derive_id(source: str, idempotency_key: str) -> str:
    """Derive the id for one source's idempotency key: 32 hex digits, the same everywhere."""
    # The length keeps ("a", "bc") and ("ab", "c") apart. Headers may hold undecodable bytes.
    text = f"{len(source)}:{source}{idempotency_key}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def new_id() -> str:
    """Make a fresh id for a transaction without an idempotency key: 32 hex digits."""
    return secrets.token_hex(16)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_size(name: str, value: str, limit: int) -> None:
    if len(value) <= limit and value.isascii():
        return
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidMessage(f"the {name} is not Unicode text: send UTF-8") from None
    if size > limit:
        raise InvalidMessage(f"the {name} has {size} bytes and Pub/Sub holds {limit}: shorten it")
