import pytest

from ops.local.pubsub import messages
from ops.local.pubsub.compact_queue import pack
from ops.local.pubsub.leases import AckId, Consumer, Lease, OrderingKey
from ops.local.pubsub.status_errors import StatusError


@pytest.mark.parametrize("key", ["", "table32", "a.b.ü"])
def test_an_ack_id_names_the_delivery_it_came_with(key: str) -> None:
    lease = Lease(
        pack(70, 3), OrderingKey(key) if key else None, Consumer(lease_seconds=10), 1.0, 2**60, 0
    )
    (item,) = messages.received(5, [lease], {70: b""})
    assert messages.parse_ack_id(5, item.ack_id) == AckId(70, 2**60, key)


@pytest.mark.parametrize("text", ["", "x", "1.2", "5.x.1.", "6.46.1.key"])
def test_an_ack_id_of_no_delivery_here_is_refused(text: str) -> None:
    with pytest.raises(StatusError):
        messages.parse_ack_id(5, text)


def test_what_was_dropped_after_its_lease_is_left_out() -> None:
    lease = Lease(pack(70, 3), None, Consumer(lease_seconds=10), 1.0, 1, 0)
    assert list(messages.received(5, [lease], {})) == []


def test_rows_carry_ids_and_publish_time() -> None:
    message = messages.PubsubMessage(data=b"x", ordering_key="k")
    (row,) = messages.rows_of([message], 3, 1000, 1_700_000_000_123_456)
    stored = messages.PubsubMessage.FromString(row.body)
    assert (row.seq, row.key, stored.message_id) == (3, "k", "1003")
    assert stored.publish_time.ToMicroseconds() == 1_700_000_000_123_456
