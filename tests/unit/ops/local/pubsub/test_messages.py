import pytest

from ops.local.pubsub import messages
from ops.local.pubsub.delivery import Delivered
from ops.local.pubsub.leases import Consumer, Key, Lease
from ops.local.pubsub.pending import pack
from ops.local.pubsub.refusals import Refused


@pytest.mark.parametrize("key", ["", "table32", "a.b.ü"])
def test_an_ack_id_names_the_delivery_it_came_with(key: str) -> None:
    lease = Lease(pack(70, 3), Key(key) if key else None, Consumer(lease_seconds=10), 1.0, 2**60, 0)
    (item,) = messages.received(5, [lease], {70: b""}, counted=False)
    assert messages.delivered(5, item.ack_id) == Delivered(70, 2**60, key)


@pytest.mark.parametrize("text", ["", "x", "1.2", "5.x.1.", "6.46.1.key"])
def test_an_ack_id_of_no_delivery_here_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        messages.delivered(5, text)


def test_what_was_dropped_after_its_lease_is_left_out() -> None:
    lease = Lease(pack(70, 3), None, Consumer(lease_seconds=10), 1.0, 1, 0)
    assert list(messages.received(5, [lease], {}, counted=True)) == []


def test_rows_carry_ids_and_publish_time() -> None:
    message = messages.PubsubMessage(data=b"x", ordering_key="k")
    (row,) = messages.rows_of([message], 3, 1000, 1_700_000_000_123_456)
    stored = messages.PubsubMessage.FromString(row.body)
    assert (row.seq, row.key, stored.message_id) == (3, "k", "1003")
    assert stored.publish_time.ToMicroseconds() == 1_700_000_000_123_456


def test_a_dead_letter_says_where_it_comes_from() -> None:
    original = messages.PubsubMessage(data=b"x", attributes={"a": "b"}, ordering_key="k")
    original.publish_time.FromSeconds(1_700_000_000)
    body = original.SerializeToString()
    letter = messages.dead_letter(body, "projects/p/subscriptions/s", 5)
    assert (letter.data, letter.ordering_key, letter.message_id) == (b"x", "k", "")
    assert dict(letter.attributes) == {
        "a": "b",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "s",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2023-11-14T22:13:20Z",
    }
