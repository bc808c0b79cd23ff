import pytest

from ops.local.pubsub.delivery_policy import DeliveryPolicy
from ops.local.pubsub.delivery_schedule import DeliverySchedule
from ops.local.pubsub.leases import AckId, Consumer, Lease

FIRST_TOKEN = 1_000
LEASE = 10.0


class Schedule:
    """A DeliverySchedule with a clock that the test sets."""

    def __init__(self, *, ordered: bool = False, backoff: tuple[float, float] = (0, 0)) -> None:
        self.delivery = DeliverySchedule(DeliveryPolicy(ordered, *backoff), FIRST_TOKEN)
        self.now = 100.0
        self._seq = 0

    def add(self, *keys: str, size: int = 1) -> None:
        for key in keys:
            self._seq += 1
            self.delivery.add(self._seq, size, key, self.now)

    def consumer(self, *, max_messages: int = 0, client_id: str = "") -> Consumer:
        consumer = Consumer(lease_seconds=LEASE, max_messages=max_messages, client_id=client_id)
        self.delivery.attach(consumer, self.now)
        return consumer

    def take(self, consumer: Consumer, limit: int = 1000) -> list[Lease]:
        return self.delivery.take(consumer, self.now, limit, 1_000_000)

    def drain(self, consumer: Consumer) -> list[int]:
        taken: list[int] = []
        while some := self.take(consumer):
            taken += [lease.seq for lease in some]
        return taken

    def expire(self, at: float) -> list[tuple[int, int]]:
        self.now = at
        return self.delivery.expire(at)


def ack_id_of(lease: Lease) -> AckId:
    return AckId(lease.seq, lease.token, lease.key.name if lease.key else "")


def test_messages_without_a_key_are_shared_between_consumers() -> None:
    schedule = Schedule()
    one, two = schedule.consumer(), schedule.consumer()
    schedule.add(*[""] * 10)
    assert len(schedule.take(one)) == 5
    assert len(schedule.take(two)) > 0


def test_keys_are_shared_between_consumers() -> None:
    schedule = Schedule(ordered=True)
    one, two = schedule.consumer(), schedule.consumer()
    schedule.add(*"abcdabcd")
    first = {lease.key.name for lease in schedule.take(one) if lease.key}
    second = {lease.key.name for lease in schedule.take(two) if lease.key}
    assert len(first) == 2
    assert second
    assert not first & second


def test_a_big_key_does_not_hold_back_a_small_one() -> None:
    schedule = Schedule(ordered=True)
    one = schedule.consumer(max_messages=150)
    schedule.add(*["big"] * 500, "small")
    taken = schedule.take(one)
    assert "small" in {lease.key.name for lease in taken if lease.key}


def test_a_deadline_ends_a_lease_and_the_message_comes_again_first() -> None:
    schedule = Schedule()
    one = schedule.consumer(max_messages=1)
    schedule.add("", "")
    (lease,) = schedule.take(one)
    assert schedule.delivery.next_event() == schedule.now + LEASE
    assert schedule.expire(schedule.now + LEASE) == [(1, 1)]
    (again,) = schedule.take(one)
    assert again.seq == lease.seq
    assert again.token != lease.token
    assert again.failures == 1


def test_an_ack_of_an_earlier_delivery_is_ignored_once_it_was_delivered_again() -> None:
    schedule = Schedule()
    one = schedule.consumer()
    schedule.add("")
    (first,) = schedule.take(one)
    schedule.expire(schedule.now + LEASE)
    (second,) = schedule.take(one)
    assert schedule.delivery.ack([ack_id_of(first)], schedule.now) == []
    assert schedule.delivery.ack([ack_id_of(second)], schedule.now) == [1]
    assert schedule.delivery.unacked == 0


@pytest.mark.parametrize("key", ["", "a"])
def test_a_late_ack_counts_until_the_next_delivery(key: str) -> None:
    schedule = Schedule(ordered=True)
    one = schedule.consumer()
    schedule.add(key, key)
    leases = schedule.take(one)
    schedule.expire(schedule.now + LEASE)
    assert schedule.delivery.ack([ack_id_of(leases[0])], schedule.now) == [1]
    assert schedule.delivery.ack([ack_id_of(leases[0])], schedule.now) == []
    assert schedule.drain(one) == [2]
    assert schedule.delivery.unacked == 1


@pytest.mark.parametrize("key", ["", "a"])
def test_an_ack_from_before_a_restart_counts_until_the_next_delivery(key: str) -> None:
    schedule = Schedule(ordered=True)
    one = schedule.consumer()
    schedule.add(key, key)
    old = AckId(1, FIRST_TOKEN - 5, key)
    assert schedule.delivery.ack([old], schedule.now) == [1]
    assert schedule.delivery.ack([old, AckId(99, 5, key)], schedule.now) == []
    assert schedule.drain(one) == [2]
    assert schedule.delivery.ack([AckId(2, FIRST_TOKEN - 4, key)], schedule.now) == []


def test_an_extended_lease_lasts_and_a_shortened_one_does_not() -> None:
    schedule = Schedule()
    one = schedule.consumer()
    schedule.add("", "")
    long, short = schedule.take(one)
    start = schedule.now
    schedule.delivery.extend([(ack_id_of(long), 60), (ack_id_of(short), 1)], start)
    assert schedule.expire(start + 1) == [(short.seq, 1)]
    assert schedule.expire(start + LEASE) == []
    assert schedule.expire(start + 60) == [(long.seq, 1)]


def test_a_lease_extended_twice_to_one_moment_ends_once() -> None:
    schedule = Schedule()
    one = schedule.consumer()
    schedule.add("")
    (lease,) = schedule.take(one)
    schedule.delivery.extend([(ack_id_of(lease), LEASE)] * 2, schedule.now)
    assert schedule.expire(schedule.now + LEASE) == [(1, 1)]
    assert schedule.drain(one) == [1]


def test_a_failure_takes_the_later_ones_of_its_key_back_without_blaming_them() -> None:
    schedule = Schedule(ordered=True)
    one = schedule.consumer()
    schedule.add(*"aaab")
    leases = {lease.seq: lease for lease in schedule.take(one)}
    assert schedule.delivery.nack([ack_id_of(leases[2])], schedule.now) == [(2, 1)]
    again = schedule.take(one)
    assert [(lease.seq, lease.failures) for lease in again] == [(2, 1), (3, 0)]


def test_a_key_waits_for_its_owner_while_anything_is_out() -> None:
    schedule = Schedule(ordered=True)
    one, two = schedule.consumer(), schedule.consumer()
    schedule.add("a")
    (first,) = schedule.take(one)
    schedule.add("a")
    assert schedule.take(two) == []
    schedule.delivery.ack([ack_id_of(first)], schedule.now)
    assert schedule.drain(two) == [2]


def test_a_closed_consumers_keys_pass_on_to_its_client_id() -> None:
    schedule = Schedule(ordered=True)
    one = schedule.consumer(client_id="worker_00")
    other = schedule.consumer(client_id="worker_01")
    schedule.add("a")
    schedule.take(one)
    schedule.delivery.detach(one)
    schedule.add("a")
    assert schedule.take(other) == []
    back = schedule.consumer(client_id="worker_00")
    assert schedule.drain(back) == [2]


def test_a_closed_consumers_keys_are_free_after_their_deadline() -> None:
    schedule = Schedule(ordered=True)
    one, two = schedule.consumer(), schedule.consumer()
    schedule.add(*"aa")
    schedule.take(one)
    schedule.delivery.detach(one)
    assert schedule.take(two) == []
    schedule.expire(schedule.now + LEASE)
    assert schedule.drain(two) == [1, 2]


@pytest.mark.parametrize("key", ["", "a"])
def test_the_backoff_doubles_up_to_its_maximum(key: str) -> None:
    schedule = Schedule(ordered=True, backoff=(2, 7))
    one = schedule.consumer()
    schedule.add(key)
    for wait in (2, 4, 7, 7):
        (lease,) = schedule.take(one)
        schedule.delivery.nack([ack_id_of(lease)], schedule.now)
        assert schedule.take(one) == []
        assert schedule.delivery.next_event() == schedule.now + wait
        schedule.now += wait - 0.1
        assert schedule.take(one) == []
        schedule.expire(schedule.now + 0.1)
        assert schedule.delivery.next_event() is None


def test_bytes_in_one_answer_are_bounded() -> None:
    schedule = Schedule()
    one = schedule.consumer()
    schedule.add(*[""] * 10, size=400_000)
    assert len(schedule.take(one)) == 3


def test_dropping_removes_leased_waiting_and_delayed_messages() -> None:
    schedule = Schedule(ordered=True, backoff=(5, 5))
    one = schedule.consumer()
    schedule.add("", "a", "a", "b", "", "a")
    leases = {lease.seq: lease for lease in schedule.take(one)}
    schedule.delivery.nack([ack_id_of(leases[1]), ack_id_of(leases[3])], schedule.now)
    schedule.delivery.drop_through(4, schedule.now)
    assert schedule.delivery.unacked == 2
    assert one.messages == 1
    schedule.expire(schedule.now + LEASE)
    schedule.expire(schedule.now + 2 * LEASE)
    assert sorted(schedule.drain(one)) == [5, 6]


def test_keys_without_messages_are_removed() -> None:
    schedule = Schedule(ordered=True)
    one = schedule.consumer()
    schedule.add(*(str(n) for n in range(100)))
    leases = schedule.take(one)
    schedule.delivery.ack([ack_id_of(lease) for lease in leases], schedule.now)
    assert schedule.delivery._keys == {}
    assert schedule.delivery._leases == {}
    assert schedule.delivery.next_event() is None
