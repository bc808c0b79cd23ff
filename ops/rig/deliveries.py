"""What may happen to delivered messages by Pub/Sub's rules: twice, and in another order.

https://cloud.google.com/pubsub/docs/ordering: messages of one ordering key come in order, and a
redelivery of one brings all later ones of its key again. Between keys there is no order.
"""

import random
from collections import defaultdict, deque
from typing import Any, Final

from google.pubsub_v1 import types

_RESPONSE = types.StreamingPullResponse.pb()
# Where ack ids go back to the service, and the fields that hold them.
_ACK_IDS: Final = {
    "/google.pubsub.v1.Subscriber/Acknowledge": (types.AcknowledgeRequest.pb(), ("ack_ids",)),
    "/google.pubsub.v1.Subscriber/ModifyAckDeadline": (
        types.ModifyAckDeadlineRequest.pb(),
        ("ack_ids",),
    ),
    "/google.pubsub.v1.Subscriber/StreamingPull": (
        types.StreamingPullRequest.pb(),
        ("ack_ids", "modify_deadline_ack_ids"),
    ),
}
_COPY: Final = "again!"
_COPY_BYTES: Final = _COPY.encode()


def copied(response: bytes) -> bytes:
    """Return a StreamingPullResponse once more, as a redelivery: each message with a new ack id.

    Given to the client right after the original it is legal for every key in it, as nothing later
    of the key has been delivered there yet.
    """
    again = _RESPONSE.FromString(response)
    for message in again.received_messages:
        message.ack_id = _COPY + message.ack_id
    return bytes(again.SerializeToString())


def without_copies(method: str, request: bytes) -> bytes:
    """Return a request with the ack ids of copies turned into those that the service knows."""
    if _COPY_BYTES not in request or method not in _ACK_IDS:
        return request
    kind, names = _ACK_IDS[method]
    message = kind.FromString(request)
    for name in names:
        ack_ids = getattr(message, name)
        ack_ids[:] = [ack_id.removeprefix(_COPY) for ack_id in ack_ids]
    return bytes(message.SerializeToString())


def reordered(response: bytes, chance: random.Random) -> tuple[bytes, bytes | None]:
    """Return a response in another legal order, and of it what is to be delivered a little later.

    Only messages without an ordering key are held back; of those with one the keys are mixed
    anew, each in its own order.
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
    """Return the messages in a random order that keeps each key's own."""
    lines: dict[str, deque[Any]] = defaultdict(deque)
    for number, message in enumerate(messages):
        lines[message.message.ordering_key or f"\0{number}"].append(message)
    turns = [name for name, line in lines.items() for _ in line]
    chance.shuffle(turns)
    return [lines[name].popleft() for name in turns]
