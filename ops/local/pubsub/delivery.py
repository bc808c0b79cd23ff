"""Which message goes to which consumer and when: one subscription's schedule, in memory, no I/O.

The clock is the caller's: every `now` is in seconds and never decreases. The rules are the
documented ones of Pub/Sub: https://cloud.google.com/pubsub/docs/ordering,
https://cloud.google.com/pubsub/docs/handling-failures and
https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1.
"""

import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil

from ops.local.pubsub.leases import Consumer, Key, Lease, Rota
from ops.local.pubsub.pending import Pending, pack, seq_of, size_of

# How much of one ordering key goes out before the next key has its turn.
_KEY_QUANTUM = 100
_SOURCES = 3


@dataclass(slots=True)
class _Taken:
    """What one call takes, and whether it may take more."""

    consumer: Consumer
    limit: int
    max_bytes: int
    leases: list[Lease] = field(default_factory=list)
    bytes: int = 0

    def more(self) -> bool:
        room = len(self.leases) < self.limit and self.bytes < self.max_bytes
        return room and self.consumer.has_room()

    def add(self, lease: Lease) -> None:
        self.leases.append(lease)
        self.bytes += lease.size


@dataclass(frozen=True, slots=True)
class Policy:
    """What a subscription's configuration means for delivery; backoffs in seconds.

    `max_failures` is the dead-letter policy's number of delivery attempts, 0 without one.
    """

    ordered: bool = False
    min_backoff: float = 0.0
    max_backoff: float = 0.0
    max_failures: int = 0

    def backoff(self, failures: int) -> float:
        """Return the wait before the redelivery that follows so many failures."""
        doublings = min(max(failures, 1) - 1, 32)
        return min(self.max_backoff, self.min_backoff * 2.0**doublings)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What an acknowledgement id says: one delivery of one message."""

    seq: int
    token: int
    key: str


class Delivery:
    """The unacknowledged messages of one subscription.

    `first_token` must be above every token of an earlier run; an older one in an acknowledgement
    is accepted as long as its message was not delivered again in this run.
    """

    def __init__(self, policy: Policy, first_token: int) -> None:
        self.policy = policy
        self.unacked = 0
        self._first_token = self._token = first_token
        self._plain = Pending()  # without an ordering key, never delivered
        self._again: deque[int] = deque()  # without an ordering key, due for redelivery
        self._delayed: list[tuple[float, int]] = []
        self._keys: dict[str, Key] = {}
        self._free: Rota = OrderedDict()
        self._parked: list[tuple[float, int, Key]] = []
        self._tie = itertools.count()
        self._leases: dict[int, Lease] = {}
        self._deadlines: list[tuple[float, int, int]] = []
        self._failed: dict[int, tuple[int, int]] = {}  # waiting again: failures, last token
        self._acked: set[int] = set()  # acknowledged while waiting; skipped when met
        self._forwarding: dict[int, tuple[int, Key | None]] = {}
        self._consumers: dict[Consumer, None] = {}
        self._absent: dict[str, Consumer] = {}  # closed, with leases that run on

    # Consumers

    def attach(self, consumer: Consumer, now: float) -> None:
        """Let a consumer take part; it inherits the keys of a closed one with its client id."""
        self._consumers[consumer] = None
        gone = self._absent.pop(consumer.client_id, None)
        if gone is None:
            return
        for key in {id(x.key): x.key for x in self._leases.values() if x.key}.values():
            if key.owner is gone:
                key.owner = consumer
                key.place(self._free, now)

    def detach(self, consumer: Consumer) -> None:
        """End a consumer; its leases, and with them its keys, stay until their deadlines."""
        consumer.open = False
        del self._consumers[consumer]
        if consumer.client_id and consumer.messages:
            self._absent[consumer.client_id] = consumer

    def consumers(self, *, with_room: bool = True) -> list[Consumer]:
        """Return the consumers, all or those with room, the one that took longest ago first."""
        return [x for x in self._consumers if x.has_room() or not with_room]

    # Messages in

    def add(self, seq: int, size: int, key: str, now: float, failures: int = 0) -> None:
        """Add a message; sequence numbers must ascend."""
        self.unacked += 1
        if failures:
            self._failed[seq] = (failures, 0)
        if not (key and self.policy.ordered):
            self._plain.push(pack(seq, size))
            return
        found = self._keys.get(key)
        if found is None:
            found = self._keys[key] = Key(key)
        found.waiting.push(pack(seq, size))
        if found.rota is None:
            found.place(self._free, now)

    # Messages out

    def take(self, consumer: Consumer, now: float, limit: int, max_bytes: int) -> list[Lease]:
        """Lease out what this consumer may have now: at most `limit` messages, about `max_bytes`.

        What others could take is shared: no more than this consumer's part of it goes out at
        once. Messages of one key come in publish order.
        """
        self._wake(now)
        if consumer in self._consumers:
            self._consumers[consumer] = self._consumers.pop(consumer)
        taken = _Taken(consumer, limit, max_bytes)
        sharers = max(1, len(self._consumers))
        consumer.turn += 1
        for turn in range(consumer.turn, consumer.turn + _SOURCES):
            match turn % _SOURCES:
                case 0:
                    self._take_plain(taken, now, sharers)
                case 1:
                    self._take_keys(taken, now, self._free, ceil(len(self._free) / sharers))
                case _:
                    self._take_keys(taken, now, consumer.keys, limit)
        return taken.leases

    def _take_plain(self, taken: _Taken, now: float, sharers: int) -> None:
        share = ceil((len(self._again) + len(self._plain)) / sharers)
        while share > 0 and taken.more():
            if self._again:
                entry = self._again.popleft()
            elif self._plain:
                entry = self._plain.pop()
            else:
                return
            if not self._was_acked(entry):
                taken.add(self._lease(entry, None, taken.consumer, now))
                share -= 1

    def _take_keys(self, taken: _Taken, now: float, rota: Rota, turns: int) -> None:
        while turns > 0 and rota and taken.more():
            turns -= 1
            key, _ = rota.popitem(last=False)
            key.rota = None
            for _ in range(_KEY_QUANTUM):
                if not (key.waiting and taken.more()):
                    break
                entry = key.waiting.pop()
                if not self._was_acked(entry):
                    key.owner = taken.consumer
                    taken.add(self._lease(entry, key, taken.consumer, now))
            self._settle_key(key, now)

    def _was_acked(self, entry: int) -> bool:
        if not self._acked or (seq := seq_of(entry)) not in self._acked:
            return False
        self._acked.remove(seq)
        return True

    def _lease(self, entry: int, key: Key | None, consumer: Consumer, now: float) -> Lease:
        seq = seq_of(entry)
        failures, _ = self._failed.pop(seq, (0, 0))
        self._token += 1
        lease = Lease(entry, key, consumer, now + consumer.lease_seconds, self._token, failures)
        self._leases[seq] = lease
        if key is not None:
            key.leased[seq] = lease
        heapq.heappush(self._deadlines, (lease.deadline, seq, lease.token))
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

    def _settle_key(self, key: Key, now: float) -> None:
        if not key.leased:
            key.owner = None
        key.place(self._free, now)
        if not (key.waiting or key.leased or key.forwarding):
            self._keys.pop(key.name, None)

    # Acknowledgements

    def ack(self, deliveries: Iterable[Delivered], now: float) -> list[int]:
        """Settle what these deliveries brought; return the sequence numbers that were unacked.

        A late acknowledgement counts until its message has been delivered again.
        """
        settled = [x.seq for x in deliveries if self._ack(x, now)]
        self.unacked -= len(settled)
        return settled

    def _ack(self, given: Delivered, now: float) -> bool:
        lease = self._leases.get(given.seq)
        if lease is not None:
            if lease.token != given.token:
                return False
            self._release(lease)
            if lease.key is not None:
                self._settle_key(lease.key, now)
            return True
        _, token = self._failed.get(given.seq, (0, 0))
        if token != given.token and not (token == 0 and self._waits_since_before(given)):
            return False
        self._failed.pop(given.seq, None)
        if given.seq not in self._forwarding or self._end_forwarding(given.seq, now) is not None:
            self._acked.add(given.seq)
        return True

    def _waits_since_before(self, given: Delivered) -> bool:
        """Say whether an earlier run delivered it and this one has not yet."""
        if given.token > self._first_token or given.seq in self._acked:
            return False
        key = self._keys.get(given.key) if self.policy.ordered and given.key else None
        return (key.waiting if key else self._plain).has(given.seq)

    def extend(self, deliveries: Iterable[tuple[Delivered, float]], now: float) -> None:
        """Let leases end so many seconds from now; what is not leased any more is ignored."""
        for given, seconds in deliveries:
            lease = self._leases.get(given.seq)
            if lease is not None and lease.token == given.token:
                lease.deadline = now + seconds
                heapq.heappush(self._deadlines, (lease.deadline, lease.seq, lease.token))

    # Failures

    def nack(self, deliveries: Iterable[Delivered], now: float) -> list[tuple[int, int]]:
        """Take back what these deliveries brought; return as `expire` does."""
        leases = {x.seq: self._leases.get(x.seq) for x in deliveries if self._holds(x)}
        return self._fail([lease for lease in leases.values() if lease is not None], now)

    def _holds(self, given: Delivered) -> bool:
        lease = self._leases.get(given.seq)
        return lease is not None and lease.token == given.token

    def expire(self, now: float) -> list[tuple[int, int]]:
        """Take back what is past its deadline; return every (seq, failures) that failed.

        Those with `policy.max_failures` failures are held for the dead-letter topic until
        `forwarded` says what became of them.
        """
        self._wake(now)
        due: dict[int, Lease] = {}
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, seq, token = heapq.heappop(self._deadlines)
            lease = self._leases.get(seq)
            if lease is not None and lease.token == token and lease.deadline == deadline:
                due[seq] = lease  # twice there when it was extended to the same moment
        return self._fail(list(due.values()), now)

    def _fail(self, leases: list[Lease], now: float) -> list[tuple[int, int]]:
        keys: dict[Key, int] = {}
        for lease in leases:
            lease.failures += 1
            if lease.key is not None:
                keys[lease.key] = min(lease.seq, keys.get(lease.key, lease.seq))
        for key, first in keys.items():
            back = [lease for seq, lease in key.leased.items() if seq >= first]
            key.waiting.push_front([lease.entry for lease in back])
            for lease in back:
                self._return(lease)
            self._park(key, now + self.policy.backoff(back[0].failures), now)
        for lease in leases:
            if lease.key is None:
                self._return(lease)
            if self._is_dead(lease.failures):
                self._forwarding[lease.seq] = (lease.entry, lease.key)
                if lease.key is not None:
                    lease.key.forwarding += 1
                    lease.key.place(self._free, now)
            elif lease.key is None:
                self._delay(lease.entry, now + self.policy.backoff(lease.failures), now)
        return [(lease.seq, lease.failures) for lease in leases]

    def _is_dead(self, failures: int) -> bool:
        return 0 < self.policy.max_failures <= failures

    def _return(self, lease: Lease) -> None:
        self._release(lease)
        self._failed[lease.seq] = (lease.failures, lease.token)

    def _park(self, key: Key, until: float, now: float) -> None:
        key.ready_at = until
        if until > now:
            heapq.heappush(self._parked, (until, next(self._tie), key))
        self._settle_key(key, now)

    def _delay(self, entry: int, until: float, now: float) -> None:
        if until > now:
            heapq.heappush(self._delayed, (until, entry))
        else:
            self._again.append(entry)

    def is_forwarding(self, seq: int) -> bool:
        """Say whether the message is held for the dead-letter topic."""
        return seq in self._forwarding

    def forwarded(self, seq: int, now: float, *, accepted: bool) -> None:
        """End the hold on a message: the dead-letter topic has it, or there is no such topic."""
        if seq not in self._forwarding:
            return
        entry, key = self._forwarding[seq]
        failures, _ = self._failed.get(seq, (1, 0))
        if accepted:
            self.unacked -= 1
            self._failed.pop(seq, None)
            if key is not None:  # it still stands in its key's queue
                self._acked.add(seq)
        elif key is None:
            self._delay(entry, now + self.policy.backoff(failures), now)
        self._end_forwarding(seq, now)

    def _end_forwarding(self, seq: int, now: float) -> Key | None:
        _, key = self._forwarding.pop(seq)
        if key is not None:
            key.forwarding -= 1
            self._settle_key(key, now)
        return key

    def drop_through(self, seq: int, now: float) -> None:
        """Forget every message up to and including `seq`, delivered or not."""
        leased = [lease for lease in self._leases.values() if lease.seq <= seq]
        for lease in leased:
            self._release(lease)
        held = [x for x in self._forwarding if x <= seq]
        dropped = len(leased) + sum(self._end_forwarding(x, now) is None for x in held)
        keep = pack(seq + 1, 0)
        dropped += len(self._again) + len(self._delayed)
        self._again = deque(entry for entry in self._again if entry >= keep)
        self._delayed = [item for item in self._delayed if item[1] >= keep]
        heapq.heapify(self._delayed)
        dropped -= len(self._again) + len(self._delayed)
        dropped += self._plain.drop_through(seq)
        for key in list(self._keys.values()):
            dropped += key.waiting.drop_through(seq)
            self._settle_key(key, now)
        before = len(self._acked)
        self._acked = {x for x in self._acked if x > seq}
        self._failed = {x: tried for x, tried in self._failed.items() if x > seq}
        self.unacked -= dropped - (before - len(self._acked))

    # Time

    def next_event(self) -> float | None:
        """Return when a lease or a backoff ends next; None when nothing is out or delayed."""
        while self._deadlines:
            deadline, seq, token = self._deadlines[0]
            lease = self._leases.get(seq)
            if lease is not None and lease.token == token and lease.deadline == deadline:
                break
            heapq.heappop(self._deadlines)
        firsts = [heap[0][0] for heap in (self._deadlines, self._parked, self._delayed) if heap]
        return min(firsts, default=None)

    def _wake(self, now: float) -> None:
        while self._parked and self._parked[0][0] <= now:
            key = heapq.heappop(self._parked)[2]
            key.place(self._free, now)
        while self._delayed and self._delayed[0][0] <= now:
            self._again.append(heapq.heappop(self._delayed)[1])
