"""Which consumer holds which message: consumers with their flow control, leases, ordering keys."""

import asyncio
import heapq
from collections import OrderedDict
from dataclasses import dataclass, field

from ops.local.pubsub.compact_queue import CompactQueue, seq_of, size_of


@dataclass(frozen=True, slots=True)
class AckId:
    """The content of an acknowledgement id: it names one delivery of one message."""

    seq: int
    token: int
    key: str


@dataclass(slots=True, eq=False, kw_only=True)
class Consumer:
    """A stream, or one unary pull, with its flow control; a limit of 0 or less means no limit.

    `wake` is set whenever there may be something for it to take.
    """

    lease_seconds: float
    max_messages: int = 0
    max_bytes: int = 0
    client_id: str = ""
    open: bool = True
    messages: int = 0
    bytes: int = 0
    next_source: int = 0
    keys: "ReadyKeys" = field(default_factory=OrderedDict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def has_room(self) -> bool:
        """Return whether flow control allows another message, as documented for StreamingPull."""
        return (self.max_messages <= 0 or self.messages < self.max_messages) and (
            self.max_bytes <= 0 or self.bytes < self.max_bytes
        )


@dataclass(slots=True, eq=False)
class Lease:
    """A message that a consumer holds until `deadline`; `token` identifies this one delivery."""

    entry: int
    key: "OrderingKey | None"
    consumer: Consumer
    deadline: float
    token: int
    failures: int

    @property
    def seq(self) -> int:
        return seq_of(self.entry)

    @property
    def size(self) -> int:
        """The message's size in bytes."""
        return size_of(self.entry)


class LeaseTable(dict[int, Lease]):
    """The leases by sequence number, and the order in which they end."""

    def __init__(self) -> None:
        super().__init__()
        # (deadline, seq, token); an entry is stale when its lease has ended or was extended.
        self._deadlines: list[tuple[float, int, int]] = []

    def add(self, seq: int, lease: Lease) -> None:
        self[seq] = lease
        heapq.heappush(self._deadlines, (lease.deadline, seq, lease.token))

    def of(self, given: AckId) -> Lease | None:
        """Return the lease of exactly this delivery, if it still runs."""
        lease = self.get(given.seq)
        return lease if lease is not None and lease.token == given.token else None

    def extend(self, lease: Lease, deadline: float) -> None:
        lease.deadline = deadline
        heapq.heappush(self._deadlines, (deadline, lease.seq, lease.token))

    def next_deadline(self) -> float | None:
        while self._deadlines:
            deadline, seq, token = self._deadlines[0]
            lease = self.get(seq)
            if lease is not None and lease.token == token and lease.deadline == deadline:
                return deadline
            heapq.heappop(self._deadlines)
        return None

    def expired(self, now: float) -> list[Lease]:
        """Return the leases past their deadlines, each only once."""
        due: dict[int, Lease] = {}
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            seq = heapq.heappop(self._deadlines)[1]
            due[seq] = self[seq]  # twice in the heap if it was extended to the same moment
        return list(due.values())


# Keys with a message to deliver, in the order of their turns.
type ReadyKeys = OrderedDict[OrderingKey, None]


@dataclass(slots=True, eq=False)
class OrderingKey:
    """One ordering key: its waiting messages, its leased messages, and the consumer that owns it.

    Every leased message is earlier than every waiting one, because a failed message takes the later
    leased ones back with it. While a message is leased, only `owner` gets the next ones.
    """

    name: str
    waiting: CompactQueue = field(default_factory=CompactQueue)
    leased: dict[int, Lease] = field(default_factory=dict)
    owner: Consumer | None = None
    ready_at: float = 0.0
    ready_keys: ReadyKeys | None = None  # the queue in which this key waits for its turn

    def enqueue(self, free: ReadyKeys, now: float) -> None:
        """Join the owner's queue, or the free one, if a message could be delivered now."""
        queue: ReadyKeys | None = None
        if self.waiting and self.ready_at <= now:
            queue = free if self.owner is None else self.owner.keys
        if queue is self.ready_keys:
            return
        if self.ready_keys is not None:
            del self.ready_keys[self]
        if queue is not None:
            queue[self] = None
        self.ready_keys = queue
