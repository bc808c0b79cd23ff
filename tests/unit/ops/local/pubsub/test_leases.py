from ops.local.pubsub.compact_queue import pack
from ops.local.pubsub.leases import AckId, Consumer, Lease, LeaseTable


def table_with(seq: int, deadline: float) -> tuple[LeaseTable, Lease]:
    lease = Lease(pack(seq, 1), None, Consumer(lease_seconds=10), deadline, token=7, failures=0)
    table = LeaseTable()
    table.add(seq, lease)
    return table, lease


def test_a_lease_is_found_by_its_own_delivery_only() -> None:
    table, lease = table_with(1, 10)
    assert table.of(AckId(1, 7, "")) is lease
    assert table.of(AckId(1, 6, "")) is None
    assert table.of(AckId(2, 7, "")) is None


def test_an_extended_lease_expires_once_at_its_new_deadline() -> None:
    table, lease = table_with(1, 10)
    table.extend(lease, 20)
    table.extend(lease, 20)
    assert table.next_deadline() == 20
    assert table.expired(19) == []
    assert table.expired(20) == [lease]
    assert table.next_deadline() is None


def test_a_removed_lease_has_no_deadline() -> None:
    table, _ = table_with(1, 10)
    del table[1]
    assert table.next_deadline() is None
    assert table.expired(10) == []


def test_a_consumer_without_limits_has_room() -> None:
    assert Consumer(lease_seconds=10, messages=10**6, bytes=10**9).has_room()
    assert not Consumer(lease_seconds=10, max_messages=3, messages=3).has_room()
    assert not Consumer(lease_seconds=10, max_bytes=3, bytes=4).has_room()
