"""Changes to deliveries that Pub/Sub's rules allow: a second delivery, another order.

https://cloud.google.com/pubsub/docs/ordering: messages of one ordering key come in order, and a
redelivery of one delivers all later ones of its key again. Between keys there is no order.
"""

import random
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any, Final

from google.pubsub_v1 import types

_RESPONSE = types.StreamingPullResponse.pb()
_MODIFY: Final = "/google.pubsub.v1.Subscriber/ModifyAckDeadline"
# The requests with ack ids, and the fields that have them.
_ACK_IDS: Final = {
    "/google.pubsub.v1.Subscriber/Acknowledge": (types.AcknowledgeRequest.pb(), ("ack_ids",)),
    _MODIFY: (
        types.ModifyAckDeadlineRequest.pb(),
        ("ack_ids",),
    ),
    "/google.pubsub.v1.Subscriber/StreamingPull": (
        types.StreamingPullRequest.pb(),
        ("ack_ids", "modify_deadline_ack_ids"),
    ),
}
_COPY: Final = "again!"
_ELSEWHERE: Final = "other!"
_PREFIXES: Final = (_COPY.encode(), _ELSEWHERE.encode())


def copied(response: bytes) -> bytes:
    """Return a StreamingPullResponse as a redelivery: each message with a new ack id.

    Directly after the original it is allowed for every key in it, since no later message of the
    key has been delivered yet.
    """
    again = _RESPONSE.FromString(response)
    for message in again.received_messages:
        message.ack_id = _COPY + message.ack_id
    return bytes(again.SerializeToString())


def copied_elsewhere(messages: Iterable[Any]) -> bytes:
    """Return received messages as a StreamingPullResponse for another subscriber."""
    response = _RESPONSE()
    response.received_messages.extend(messages)
    for message in response.received_messages:
        message.ack_id = _ELSEWHERE + message.ack_id
    return bytes(response.SerializeToString())


def without_copies(method: str, request: bytes) -> bytes | None:
    """Return a request with the ack ids of the originals in place of those of copies.

    The lease of a copy for another subscriber is not Pub/Sub's: a change of it is left out. None if
    nothing else is in the request.
    """
    if method not in _ACK_IDS or not any(prefix in request for prefix in _PREFIXES):
        return request
    kind, names = _ACK_IDS[method]
    message = kind.FromString(request)
    for name in names:
        ack_ids = getattr(message, name)
        ack_ids[:] = [
            ack_id.removeprefix(_COPY).removeprefix(_ELSEWHERE)
            for ack_id in ack_ids
            if method != _MODIFY or not ack_id.startswith(_ELSEWHERE)
        ]
    if method == _MODIFY and not message.ack_ids:
        return None
    return bytes(message.SerializeToString())


def received_messages(response: bytes) -> list[Any]:
    """Return the messages of a StreamingPullResponse, each with its ack id."""
    return list(_RESPONSE.FromString(response).received_messages)


def acked_ids(request: bytes) -> list[str]:
    """Return the ack ids of an AcknowledgeRequest."""
    return list(types.AcknowledgeRequest.pb().FromString(request).ack_ids)


def reordered(response: bytes, chance: random.Random) -> tuple[bytes, bytes | None]:
    """Return a response in another allowed order, and the part to deliver a little later.

    Only messages without an ordering key are held back. Messages with one stay in the order of
    their key; the keys are mixed.
    """
    whole = _RESPONSE.FromString(response)
    messages = list(whole.received_messages)
    now, later = _RESPONSE(), _RESPONSE()
    now.CopyFrom(whole)
    del now.received_messages[:]
    for message in _mixed(messages, chance):
        held = not message.message.ordering_key and chance.random() < 1 / 2
        (later if held else now).received_messages.append(message)
    if not now.received_messages:
        now, later = later, now  # a response is never empty
    return (
        bytes(now.SerializeToString()),
        bytes(later.SerializeToString()) if later.received_messages else None,
    )


def _mixed(messages: list[Any], chance: random.Random) -> list[Any]:
    """Return the messages in a random order that keeps the order of each key."""
    lines: dict[str, deque[Any]] = defaultdict(deque)
    for number, message in enumerate(messages):
        lines[message.message.ordering_key or f"\0{number}"].append(message)
    turns = [name for name, line in lines.items() for _ in line]
    chance.shuffle(turns)
    return [lines[name].popleft() for name in turns]
