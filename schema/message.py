"""Converts a transaction to a Pub/Sub message and back."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from schema.lanes import LANES, is_derived_id, lane_of, lane_of_ordering_key

# https://cloud.google.com/pubsub/quotas#resource_limits
MAX_DATA_BYTES = 10_000_000
MAX_ATTRIBUTE_BYTES = 1_024
MAX_ATTRIBUTES = 100
MAX_CALL_MESSAGES = 1_000
MAX_CALL_BYTES = 9_500_000  # 10 MB, less the topic's name and the framing

_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class InvalidMessage(ValueError):
    """A part of the message exceeds Pub/Sub's limit. The error text names both."""


class Message(NamedTuple):
    """A request body as a Pub/Sub message.

    `received_at` is RFC 3339 and `sha256` the hex digest of `data`. `source` is the API key's name,
    or empty. `ordering_key` is the client's; Pub/Sub's is the lane's name. `copy_possible`: an
    earlier call may have published this message already.
    """

    data: bytes
    id: str
    source: str
    received_at: str
    sha256: str
    ordering_key: str
    lane: int = 0
    copy_possible: bool = False
    signature: str = ""
    traceparent: str = ""
    """The context of its trace, in the form of W3C's header; nobody trusts it."""

    @property
    def attributes(self) -> dict[str, str]:
        """The Pub/Sub attributes."""
        attributes = {
            "id": self.id,
            "source": self.source,
            "received_at": self.received_at,
            "sha256": self.sha256,
            "ordering_key": self.ordering_key,
        }
        if self.copy_possible:
            attributes["copy"] = "possible"
        if self.signature:
            attributes["mac"] = self.signature
        if self.traceparent:
            attributes["traceparent"] = self.traceparent
        return attributes

    @property
    def may_be_settled_already(self) -> bool:
        """Whether the id may have been settled before this message was published."""
        return self.copy_possible or is_derived_id(self.id)


def compose_message(  # noqa: PLR0913  # each is a part of the message, by keyword
    body: bytes,
    *,
    id: str,  # noqa: A002  # the attribute's name in the contract
    source: str,
    received_at: str,
    ordering_key: str,
    lanes: int = LANES,
) -> Message:
    """Return the message of a valid body.

    Raises InvalidMessage above one of the limits.
    """
    lane = lane_of(ordering_key, lanes)
    message = Message(body, id, source, received_at, _digest(body), ordering_key, lane)
    if len(body) > MAX_DATA_BYTES:
        raise InvalidMessage(
            f"the body has {len(body)} bytes and a message holds {MAX_DATA_BYTES}: split it"
        )
    for name, value in message.attributes.items():
        _check_size(name, value, MAX_ATTRIBUTE_BYTES)
    return message


def read_message(  # noqa: PLR0913, PLR0917  # each is a part of the message
    data: bytes,
    attributes: Mapping[str, str],
    message_id: str,
    publish_time: str,
    ordering_key: str,
    lanes: int = LANES,
) -> Message:
    """Read a pulled message of any publisher. Never fails.

    Pub/Sub's message id, publish time (RFC 3339) and ordering key replace missing attributes. The
    digest is always computed from `data`, since any publisher may set the attribute.
    """
    return Message(
        data,
        attributes.get("id") or message_id,
        attributes.get("source", ""),
        attributes.get("received_at") or publish_time,
        _digest(data),
        attributes.get("ordering_key") or ordering_key,
        lane_of_ordering_key(ordering_key or message_id, lanes),
        attributes.get("copy") == "possible",
        attributes.get("mac", ""),
        attributes.get("traceparent", ""),
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


def faults_of_attributes(attributes: Mapping[str, str]) -> list[str]:
    """Return the faults of the attributes that Gatekeeper reads, a sentence each."""
    return [
        f"the attribute {name} has a control character"
        for name in ("id", "source", "received_at", "ordering_key")
        if has_control_character(attributes.get(name, ""))
    ]


def has_control_character(text: str) -> bool:
    """Return whether a text has one of C0 or C1, or DEL: none belongs in a name or a key."""
    return _CONTROL_CHARACTER.search(text) is not None


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
