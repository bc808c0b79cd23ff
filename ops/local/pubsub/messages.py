"""Messages on their way: rows for the store, ack ids, received messages, dead letters."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.pubsub_v1 import types

from ops.local.pubsub.delivery import Delivered
from ops.local.pubsub.leases import Lease
from ops.local.pubsub.refusals import invalid
from ops.local.pubsub.store import Row

# The raw protobuf classes: proto-plus's wrappers cost more than all the rest of a delivery.
PubsubMessage = types.PubsubMessage.pb()
ReceivedMessage = types.ReceivedMessage.pb()


def rows_of(messages: Iterable[Any], first_seq: int, base: int, published: int) -> list[Row]:
    """Stamp PubsubMessages with their ids and publish time (microseconds) and serialize them."""
    stamp = PubsubMessage()
    stamp.publish_time.FromMicroseconds(published)
    rows = []
    for seq, message in enumerate(messages, first_seq):
        message.message_id = str(base + seq)
        message.publish_time.CopyFrom(stamp.publish_time)
        rows.append(Row(seq, published, message.ordering_key, message.SerializeToString()))
    return rows


def received(
    subscription_id: int, leases: Iterable[Lease], bodies: dict[int, bytes], *, counted: bool
) -> Iterator[Any]:
    """Yield the ReceivedMessages of leases; `counted` adds the delivery attempt.

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
        if counted:
            item.delivery_attempt = lease.failures + 1
        yield item


def delivered(subscription_id: int, ack_id: str) -> Delivered:
    """Return what an ack id names; refuse text that is none, and another subscription's."""
    try:
        owner, seq, token, key = ack_id.split(".", 3)
        found = Delivered(int(seq, 16), int(token, 16), key)
        matches = int(owner, 16) == subscription_id
    except ValueError:
        raise invalid(
            f"You have passed an invalid ack ID to the service (ack_id={ack_id})."
        ) from None
    if not matches:
        raise invalid("You have passed a subscription that does not belong to the given ack ID.")
    return found


def dead_letter(body: bytes, subscription: str, attempts: int) -> Any:
    """Return the message to publish on a dead-letter topic, with the documented attributes.

    https://cloud.google.com/pubsub/docs/handling-failures#track-delivery-attempts
    """
    original = PubsubMessage.FromString(body)
    message = PubsubMessage(data=original.data, ordering_key=original.ordering_key)
    message.attributes.update(original.attributes)
    _, project, _, name = subscription.split("/")
    message.attributes.update(
        {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(attempts),
            "CloudPubSubDeadLetterSourceSubscription": name,
            "CloudPubSubDeadLetterSourceSubscriptionProject": project,
            "CloudPubSubDeadLetterSourceTopicPublishTime": original.publish_time.ToJsonString(),
        }
    )
    return message
