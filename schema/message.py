"""Converts a transaction to a Pub/Sub message and back."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from schema.transaction import Transaction

# https://cloud.google.com/pubsub/quotas#resource_limits
MAX_DATA_BYTES = 10_000_000
MAX_ATTRIBUTE_BYTES = 1_024
MAX_ORDERING_KEY_BYTES = 1_024
MAX_CALL_MESSAGES = 1_000
MAX_CALL_BYTES = 9_500_000  # 10 MB, less the topic's name and the framing


class InvalidMessage(ValueError):
    """A part of the message exceeds Pub/Sub's limit. The error text names both."""


class Message(NamedTuple):
    """A request body as a Pub/Sub message.

    `received_at` is RFC 3339 and `sha256` the hex digest of `data`. `source` is the API key's name,
    or empty.
    """

    data: bytes
    id: str
    source: str
    received_at: str
    sha256: str
    ordering_key: str

    @property
    def attributes(self) -> dict[str, str]:
        """The Pub/Sub attributes. The ordering key is a separate field of a Pub/Sub message."""
        return {
            "id": self.id,
            "source": self.source,
            "received_at": self.received_at,
            "sha256": self.sha256,
        }


def compose_message(  # noqa: PLR0913  # each is a part of the message, by keyword
    body: bytes,
    transaction: Transaction,
    *,
    id: str,  # noqa: A002  # the attribute's name in the contract
    source: str,
    received_at: str,
    ordering_key: str | None,
) -> Message:
    """Return the message of a valid body. The default ordering key is the first table.

    Raises InvalidMessage above one of the limits.
    """
    key = ordering_key or transaction.activities[0].table
    message = Message(body, id, source, received_at, _digest(body), key)
    if len(body) > MAX_DATA_BYTES:
        raise InvalidMessage(
            f"the body has {len(body)} bytes and a message holds {MAX_DATA_BYTES}: split it"
        )
    _check_size("ordering key", key, MAX_ORDERING_KEY_BYTES)
    for name, value in message.attributes.items():
        _check_size(name, value, MAX_ATTRIBUTE_BYTES)
    return message


def read_message(
    data: bytes,
    attributes: Mapping[str, str],
    message_id: str,
    publish_time: str,
    ordering_key: str,
) -> Message:
    """Read a pulled message of any publisher. Never fails.

    Pub/Sub's message id and publish time (RFC 3339) replace missing attributes. The digest is
    always computed from `data`, since any publisher may set the attribute.
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
    """Split the messages of one ordering key into Publish calls within Pub/Sub's limits, in order.

    `size` returns a message's bytes on the wire. A message above the limit gets its own call, and
    Pub/Sub decides.
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
    """Return the id of a source's idempotency key: 32 hex digits, the same on every machine."""
    # The length makes ("a", "bc") and ("ab", "c") differ. Headers may have undecodable bytes.
    text = f"{len(source)}:{source}{idempotency_key}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def new_id() -> str:
    """Return a random id for a transaction without an idempotency key: 32 hex digits."""
    return secrets.token_hex(16)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_size(name: str, value: str, limit: int) -> None:
    if len(value) <= limit and value.isascii():
        return
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidMessage(f"the {name} is not valid Unicode: send UTF-8") from None
    if size > limit:
        raise InvalidMessage(f"the {name} has {size} bytes and Pub/Sub holds {limit}: shorten it")
