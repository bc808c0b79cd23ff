"""Which message goes to which consumer and when: one subscription's schedule, in memory, no I/O.

The caller passes the time: every `now` is in seconds and never decreases. The rules are the
documented ones of Pub/Sub: https://cloud.google.com/pubsub/docs/ordering,
https://cloud.google.com/pubsub/docs/handling-failures and
https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1.
"""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil

from ops.local.pubsub.compact_queue import pack, seq_of, size_of
from ops.local.pubsub.delivery_policy import DeliveryPolicy
from ops.local.pubsub.leases import AckId, Consumer, Lease, LeaseTable, OrderingKey, ReadyKeys
from ops.local.pubsub.unordered_queue import UnorderedQueue

# How many messages of one ordering key are delivered before the next key has its turn.
_KEY_QUANTUM = 100
_SOURCES = 3


@dataclass(slots=True)
class _Response:
    """The leases of one call to `take`, and whether there may be more."""

    consumer: Consumer
    limit: int
    max_bytes: int
    leases: list[Lease] = field(default_factory=list)
    bytes: int = 0

    def has_room(self) -> bool:
        room = len(self.leases) < self.limit and self.bytes < self.max_bytes
        return room and self.consumer.has_room()

    def add(self, lease: Lease) -> None:
        self.leases.append(lease)
        self.bytes += lease.size


class DeliverySchedule:
    """The unacknowledged messages of one subscription.

    `first_token` must be above every token of an earlier run; an older one in an acknowledgement
    is accepted as long as its message was not delivered again in this run.
    """

    def __init__(self, policy: DeliveryPolicy, first_token: int) -> None:
        self.policy = policy
        self.unacked = 0
        self._first_token = self._token = first_token
        self._unordered = UnorderedQueue()
        self._keys: dict[str, OrderingKey] = {}
        self._free: ReadyKeys = OrderedDict()  # ready keys that no consumer owns
        self._backoff: list[tuple[float, int, OrderingKey]] = []
        self._tie = itertools.count()
        self._leases = LeaseTable()
        self._failed: dict[int, tuple[int, int]] = {}  # waiting again: failures, last token
        self._acked: set[int] = set()  # acknowledged while waiting; skipped when met
        self._consumers: dict[Consumer, None] = {}
        self._absent: dict[str, Consumer] = {}  # closed, with leases that still run

    # Consumers

    def attach(self, consumer: Consumer, now: float) -> None:
        """Add a consumer; it inherits the keys of a closed one with the same client id."""
        self._consumers[consumer] = None
        gone = self._absent.pop(consumer.client_id, None)
        if gone is None:
            return
        for key in {id(x.key): x.key for x in self._leases.values() if x.key}.values():
            if key.owner is gone:
                key.owner = consumer
                key.enqueue(self._free, now)

    def detach(self, consumer: Consumer) -> None:
        """Remove a consumer; its leases, and with them its keys, stay until their deadlines."""
        consumer.open = False
        del self._consumers[consumer]
        if consumer.client_id and consumer.messages:
            self._absent[consumer.client_id] = consumer

    def consumers(self, *, with_room: bool = True) -> list[Consumer]:
        """Return the consumers, all or those with room; the one that took longest ago is first."""
        return [x for x in self._consumers if x.has_room() or not with_room]

    # Messages in

    def add(self, seq: int, size: int, key: str, now: float) -> None:
        """Add a message; sequence numbers must ascend."""
        self.unacked += 1
        if not (key and self.policy.ordered):
            self._unordered.push(pack(seq, size))
            return
        found = self._keys.get(key)
        if found is None:
            found = self._keys[key] = OrderingKey(key)
        found.waiting.push(pack(seq, size))
        if found.ready_keys is None:
            found.enqueue(self._free, now)

    # Messages out

    def take(self, consumer: Consumer, now: float, limit: int, max_bytes: int) -> list[Lease]:
        """Lease messages to this consumer: at most `limit`, and about `max_bytes`.

        Messages that other consumers could take are shared: one call takes no more than this
        consumer's part of them. Messages of one key come in publish order.
        """
        self._end_backoffs(now)
        if consumer in self._consumers:
            self._consumers[consumer] = self._consumers.pop(consumer)
        response = _Response(consumer, limit, max_bytes)
        sharers = max(1, len(self._consumers))
        consumer.next_source += 1
        for turn in range(consumer.next_source, consumer.next_source + _SOURCES):
            match turn % _SOURCES:
                case 0:
                    self._take_unordered(response, now, sharers)
                case 1:
                    self._take_keys(response, now, self._free, ceil(len(self._free) / sharers))
                case _:
                    self._take_keys(response, now, consumer.keys, limit)
        return response.leases

    def _take_unordered(self, response: _Response, now: float, sharers: int) -> None:
        waiting = len(self._unordered)
        share = ceil(waiting / sharers)
        while share > 0 and waiting > 0 and response.has_room():
            waiting -= 1
            entry = self._unordered.pop()
            if not self._was_acked(entry):
                response.add(self._lease(entry, None, response.consumer, now))
                share -= 1

    def _take_keys(self, response: _Response, now: float, ready: ReadyKeys, turns: int) -> None:
        while turns > 0 and ready and response.has_room():
            turns -= 1
            key, _ = ready.popitem(last=False)
            key.ready_keys = None
            for _ in range(_KEY_QUANTUM):
                if not (key.waiting and response.has_room()):
                    break
                entry = key.waiting.pop()
                if not self._was_acked(entry):
                    key.owner = response.consumer
                    response.add(self._lease(entry, key, response.consumer, now))
            self._update_key(key, now)

    def _was_acked(self, entry: int) -> bool:
        if not self._acked or (seq := seq_of(entry)) not in self._acked:
            return False
        self._acked.remove(seq)
        return True

    def _lease(self, entry: int, key: OrderingKey | None, consumer: Consumer, now: float) -> Lease:
        seq = seq_of(entry)
        failures, _ = self._failed.pop(seq, (0, 0))
        self._token += 1
        lease = Lease(entry, key, consumer, now + consumer.lease_seconds, self._token, failures)
        self._leases.add(seq, lease)
        if key is not None:
            key.leased[seq] = lease
        consumer.messages += 1
        consumer.bytes += size_of(entry)
        return lease

    def _release(self, lease: Lease) -> None:
        consumer = lease.consumer
        consumer.messages -= 1
        consumer.bytes -= lease.size
        del self._leases[lease.seq]
        if lease.key is not None:
            del lease.key.leased[lease.seq]
        if not consumer.messages and self._absent.get(consumer.client_id) is consumer:
            del self._absent[consumer.client_id]

    def _update_key(self, key: OrderingKey, now: float) -> None:
        if not key.leased:
            key.owner = None
        key.enqueue(self._free, now)
        if not (key.waiting or key.leased):
            self._keys.pop(key.name, None)

    # Acknowledgements

    def ack(self, ack_ids: Iterable[AckId], now: float) -> list[int]:
        """Remove the messages of these deliveries; return the sequence numbers removed.

        A late acknowledgement counts until its message has been delivered again.
        """
        acked = [x.seq for x in ack_ids if self._ack(x, now)]
        self.unacked -= len(acked)
        return acked

    def _ack(self, given: AckId, now: float) -> bool:
        lease = self._leases.get(given.seq)
        if lease is not None:
            if lease.token != given.token:
                return False
            self._release(lease)
            if lease.key is not None:
                self._update_key(lease.key, now)
            return True
        _, token = self._failed.get(given.seq, (0, 0))
        if token != given.token and not (token == 0 and self._waits_since_before(given)):
            return False
        self._failed.pop(given.seq, None)
        self._acked.add(given.seq)
        return True

    def _waits_since_before(self, given: AckId) -> bool:
        """Return whether an earlier run delivered it and this one has not yet."""
        if given.token > self._first_token or given.seq in self._acked:
            return False
        key = self._keys.get(given.key) if self.policy.ordered and given.key else None
        return key.waiting.has(given.seq) if key else self._unordered.has_new(given.seq)

    def extend(self, deadlines: Iterable[tuple[AckId, float]], now: float) -> None:
        """End leases this many seconds from now; a lease that has ended already is ignored."""
        for given, seconds in deadlines:
            if lease := self._leases.of(given):
                self._leases.extend(lease, now + seconds)

    # Failures

    def nack(self, ack_ids: Iterable[AckId], now: float) -> list[tuple[int, int]]:
        """Take back the messages of these deliveries; return as `expire` does."""
        leases = {x.seq: lease for x in ack_ids if (lease := self._leases.of(x))}
        return self._fail(list(leases.values()), now)

    def expire(self, now: float) -> list[tuple[int, int]]:
        """Take back every message past its deadline; return (seq, failures) of each."""
        self._end_backoffs(now)
        return self._fail(self._leases.expired(now), now)

    def _fail(self, leases: list[Lease], now: float) -> list[tuple[int, int]]:
        first_of: dict[OrderingKey, int] = {}
        for lease in leases:
            lease.failures += 1
            if lease.key is None:
                self._take_back(lease)
                ready_at = now + self.policy.backoff(lease.failures)
                self._unordered.give_back(lease.entry, ready_at, now)
            else:
                first_of[lease.key] = min(lease.seq, first_of.get(lease.key, lease.seq))
        for key, first in first_of.items():
            back = [lease for seq, lease in key.leased.items() if seq >= first]
            key.waiting.push_front([lease.entry for lease in back])
            for lease in back:
                self._take_back(lease)
            self._delay_key(key, now + self.policy.backoff(back[0].failures), now)
        return [(lease.seq, lease.failures) for lease in leases]

    def _take_back(self, lease: Lease) -> None:
        self._release(lease)
        self._failed[lease.seq] = (lease.failures, lease.token)

    def _delay_key(self, key: OrderingKey, until: float, now: float) -> None:
        key.ready_at = until
        if until > now:
            heapq.heappush(self._backoff, (until, next(self._tie), key))
        self._update_key(key, now)

    def drop_through(self, seq: int, now: float) -> None:
        """Remove every message up to and including `seq`, leased or waiting."""
        leased = [lease for lease in self._leases.values() if lease.seq <= seq]
        for lease in leased:
            self._release(lease)
        dropped = len(leased) + self._unordered.drop_through(seq)
        for key in list(self._keys.values()):
            dropped += key.waiting.drop_through(seq)
            self._update_key(key, now)
        before = len(self._acked)
        self._acked = {x for x in self._acked if x > seq}
        self._failed = {x: tried for x, tried in self._failed.items() if x > seq}
        self.unacked -= dropped - (before - len(self._acked))

    # Time

    def next_event(self) -> float | None:
        """Return when a lease or a backoff ends next; None when there is neither."""
        key_ready = self._backoff[0][0] if self._backoff else None
        events = self._leases.next_deadline(), self._unordered.next_ready(), key_ready
        return min((event for event in events if event is not None), default=None)

    def _end_backoffs(self, now: float) -> None:
        while self._backoff and self._backoff[0][0] <= now:
            heapq.heappop(self._backoff)[2].enqueue(self._free, now)
        self._unordered.end_backoffs(now)
