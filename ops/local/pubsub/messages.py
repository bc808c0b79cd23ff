"""Messages in transit: rows for the store, ack ids, received messages."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.pubsub_v1 import types

from ops.local.pubsub.leases import AckId, Lease
from ops.local.pubsub.message_store import MessageRow
from ops.local.pubsub.status_errors import invalid_argument

# The raw protobuf classes: proto-plus's wrappers cost more than the rest of a delivery.
PubsubMessage = types.PubsubMessage.pb()
ReceivedMessage = types.ReceivedMessage.pb()


def rows_of(messages: Iterable[Any], first_seq: int, base: int, published: int) -> list[MessageRow]:
    """Set ids and publish time (microseconds) of PubsubMessages and serialize them."""
    stamp = PubsubMessage()
    stamp.publish_time.FromMicroseconds(published)
    rows = []
    for seq, message in enumerate(messages, first_seq):
        message.message_id = str(base + seq)
        message.publish_time.CopyFrom(stamp.publish_time)
        rows.append(MessageRow(seq, published, message.ordering_key, message.SerializeToString()))
    return rows


def received(
    subscription_id: int, leases: Iterable[Lease], bodies: dict[int, bytes]
) -> Iterator[Any]:
    """Yield the ReceivedMessages of leases.

    A message without a body was dropped after it was leased, and is left out.
    """
    for lease in leases:
        body = bodies.get(lease.seq)
        if body is None:
            continue
        item = ReceivedMessage()
        key = lease.key.name if lease.key else ""
        item.ack_id = f"{subscription_id:x}.{lease.seq:x}.{lease.token:x}.{key}"
        item.message.MergeFromString(body)
        yield item


def parse_ack_id(subscription_id: int, text: str) -> AckId:
    """Return the parts of an ack id; raise INVALID_ARGUMENT for other text or subscriptions."""
    try:
        owner, seq, token, key = text.split(".", 3)
        found = AckId(int(seq, 16), int(token, 16), key)
        matches = int(owner, 16) == subscription_id
    except ValueError:
        raise invalid_argument(
            f"You have passed an invalid ack ID to the service (ack_id={text})."
        ) from None
    if not matches:
        raise invalid_argument(
            "You have passed a subscription that does not belong to the given ack ID."
        )
    return found
