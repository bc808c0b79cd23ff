"""Random sequences of calls: the schedule keeps its promises."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ops.local.pubsub.delivery_policy import DeliveryPolicy
from ops.local.pubsub.delivery_schedule import DeliverySchedule
from ops.local.pubsub.leases import AckId, Consumer, Lease

KEYS = ["", "a", "b", "c"]
LEASE = 10.0


class ScheduleMachine(RuleBasedStateMachine):
    """Compares a DeliverySchedule with plain sets of unacked and leased messages."""

    consumers = Bundle("consumers")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        policy = DeliveryPolicy(ordered=True, min_backoff=1, max_backoff=4)
        self.delivery = DeliverySchedule(policy, first_token=0)
        self.seq = 0
        self.keys: dict[int, str] = {}
        self.unacked: set[int] = set()
        self.history: list[AckId] = []
        self.last: dict[int, AckId] = {}
        self.leased: dict[int, Consumer] = {}

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 3))
    def publish(self, key: str, count: int) -> None:
        for _ in range(count):
            self.seq += 1
            self.keys[self.seq] = key
            self.unacked.add(self.seq)
            self.delivery.add(self.seq, 10, key, self.now)

    @rule(
        target=consumers,
        room=st.integers(0, 4),
        size=st.sampled_from([0, 25]),
        client_id=st.sampled_from(["", "x"]),
    )
    def connect(self, room: int, size: int, client_id: str) -> Consumer:
        consumer = Consumer(
            lease_seconds=LEASE, max_messages=room, max_bytes=size, client_id=client_id
        )
        self.delivery.attach(consumer, self.now)
        return consumer

    @rule(consumer=consumes(consumers))
    def disconnect(self, consumer: Consumer) -> None:
        self.delivery.detach(consumer)

    @rule(consumer=consumers, limit=st.integers(1, 5))
    def take(self, consumer: Consumer, limit: int) -> None:
        self.tick(0)
        leases = self.delivery.take(consumer, self.now, limit, 1_000)
        assert len(leases) <= limit
        for lease in leases:
            self._deliver(lease, consumer)

    def _deliver(self, lease: Lease, consumer: Consumer) -> None:
        seq, key = lease.seq, self.keys[lease.seq]
        assert seq in self.unacked
        assert seq not in self.leased
        if key:
            of_key = [x for x in self.unacked if self.keys[x] == key]
            assert all(x in self.leased for x in of_key if x < seq), "an earlier one is missing"
            assert not any(x in self.leased for x in of_key if x > seq), "a later one is out"
            current = {self.leased[x] for x in of_key if x in self.leased}
            same_client = consumer.client_id and all(
                x is consumer or (not x.open and x.client_id == consumer.client_id) for x in current
            )
            assert same_client or current <= {consumer}, "the key is with another consumer"
        self.leased[seq] = consumer
        self.last[seq] = AckId(seq, lease.token, key)
        self.history.append(self.last[seq])

    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        if not self.history:
            return
        given = data.draw(st.sampled_from(self.history))
        settled = self.delivery.ack([given], self.now)
        counts = given.seq in self.unacked and self.last[given.seq] == given
        assert settled == ([given.seq] if counts else [])
        if counts:
            self._remove(given.seq)

    def _remove(self, seq: int) -> None:
        self.unacked.discard(seq)
        self.leased.pop(seq, None)

    @rule(data=st.data())
    def nack(self, data: st.DataObject) -> None:
        if self.history:
            given = data.draw(st.lists(st.sampled_from(self.history), max_size=3))
            fails = {x.seq for x in given if x.seq in self.leased and self.last[x.seq] == x}
            failed = self.delivery.nack(given, self.now)
            assert {seq for seq, _ in failed} == fails
            self._fail(failed)

    @rule(data=st.data(), seconds=st.integers(1, 30))
    def extend(self, data: st.DataObject, seconds: int) -> None:
        if self.history:
            given = data.draw(st.sampled_from(self.history))
            self.delivery.extend([(given, seconds)], self.now)

    @rule(seconds=st.sampled_from([0.5, 3, 11]))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        self._fail(self.delivery.expire(self.now))

    @rule()
    def nack_everything(self) -> None:
        self._fail(self.delivery.nack([self.last[seq] for seq in self.leased], self.now))

    def _fail(self, failed: list[tuple[int, int]]) -> None:
        for seq, failures in failed:
            assert seq in self.leased
            assert failures >= 1
        for first, _ in failed:
            key = self.keys[first]
            for x in list(self.leased):
                if x == first or (key and self.keys[x] == key and x > first):
                    del self.leased[x]

    @rule(back=st.integers(0, 5))
    def drop(self, back: int) -> None:
        last = self.seq - back
        self.delivery.drop_through(last, self.now)
        for seq in [x for x in self.unacked if x <= last]:
            self._remove(seq)

    @invariant()
    def counts_agree(self) -> None:
        assert self.delivery.unacked == len(self.unacked)
        assert set(self.delivery._leases) == set(self.leased)

    @invariant()
    def flow_control_holds(self) -> None:
        for consumer in {*self.leased.values(), *self.delivery.consumers(with_room=False)}:
            held = sum(owner is consumer for owner in self.leased.values())
            assert consumer.messages == held
            assert consumer.bytes == 10 * held
            assert not consumer.max_messages or held <= consumer.max_messages
            assert not consumer.max_bytes or 10 * held < consumer.max_bytes + 10

    def teardown(self) -> None:
        """Every unacked message comes to a consumer that waits long enough."""
        for consumer in self.delivery.consumers(with_room=False):
            self.delivery.detach(consumer)
        for _ in range(3):
            self.tick(100)
        last = Consumer(lease_seconds=LEASE)
        self.delivery.attach(last, self.now)
        seen: set[int] = set()
        while leases := self.delivery.take(last, self.now, 1_000, 10**9):
            for lease in leases:
                self._deliver(lease, last)
                seen.add(lease.seq)
        assert seen == self.unacked


ScheduleMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=50, deadline=None, derandomize=True
)
TestSchedule = ScheduleMachine.TestCase
