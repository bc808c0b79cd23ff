"""Who holds what: consumers with their flow control, leases, ordering keys."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from ops.local.pubsub.pending import Pending, seq_of, size_of


@dataclass(slots=True, eq=False, kw_only=True)
class Consumer:
    """A stream, or one unary pull, with its flow control; a limit of 0 or less is none.

    `wake` is set whenever there may be something for it to take.
    """

    lease_seconds: float
    max_messages: int = 0
    max_bytes: int = 0
    client_id: str = ""
    open: bool = True
    messages: int = 0
    bytes: int = 0
    turn: int = 0
    keys: "Rota" = field(default_factory=OrderedDict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def has_room(self) -> bool:
        """Say whether flow control allows another message, as documented for StreamingPull."""
        return (self.max_messages <= 0 or self.messages < self.max_messages) and (
            self.max_bytes <= 0 or self.bytes < self.max_bytes
        )


@dataclass(slots=True, eq=False)
class Lease:
    """A message that is out with a consumer until `deadline`; `token` names this one delivery."""

    entry: int
    key: "Key | None"
    consumer: Consumer
    deadline: float
    token: int
    failures: int

    @property
    def seq(self) -> int:
        """The message's sequence number."""
        return seq_of(self.entry)

    @property
    def size(self) -> int:
        """The message's size in bytes."""
        return size_of(self.entry)


# Keys that have something to deliver, the one whose turn is next first.
type Rota = OrderedDict[Key, None]


@dataclass(slots=True, eq=False)
class Key:
    """One ordering key: what waits, what is out, and to whom.

    Everything out is earlier than everything that waits, because a failed message takes the later
    ones that are out back with it. While anything is out, `owner` gets the rest.
    """

    name: str
    waiting: Pending = field(default_factory=Pending)
    leased: dict[int, Lease] = field(default_factory=dict)
    owner: Consumer | None = None
    ready_at: float = 0.0
    forwarding: int = 0  # messages on their way to the dead-letter topic; the key waits for them
    rota: Rota | None = None  # the one it stands in

    def place(self, free: Rota, now: float) -> None:
        """Stand in the owner's rota, or the free one, when a message could be delivered now."""
        rota: Rota | None = None
        if self.waiting and not self.forwarding and self.ready_at <= now:
            rota = free if self.owner is None else self.owner.keys
        if rota is self.rota:
            return
        if self.rota is not None:
            del self.rota[self]
        if rota is not None:
            rota[self] = None
        self.rota = rota
