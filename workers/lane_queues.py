"""Lanes: one queue of deliveries for each, and the rule for when a lane's batch closes.

A lane has one batch in flight at most, several lanes have one side by side, so a lane in trouble
holds up no other. Each statement has its price in BigQuery, however few rows it has, so a batch
waits until its first delivery is `max_wait` seconds old or the batch is full. Where a job costs
nothing (`eager`, local mode), a lane does not wait while nothing else is in flight.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops.runtime import metrics
from schema import lane_name, lane_of_ordering_key

GATHER_SECONDS = 0.005
"""What an eager lane waits: longer than the gap between two responses of one burst."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One delivered message and its lease; both times are in seconds of `time.monotonic`."""

    ack_id: str
    message_id: str
    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str
    publish_time: str
    lease_until: float
    arrived_at: float = field(default_factory=time.monotonic)

    @property
    def lost(self) -> bool:
        """Whether the lease has run out: another worker may have the message by now."""
        return time.monotonic() >= self.lease_until


@dataclass(frozen=True, slots=True, eq=False)
class LaneBatch:
    """Deliveries of one lane, in order; never empty."""

    lane: int
    deliveries: list[Delivery]


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch closes, and how many lanes have one in flight."""

    messages: int
    bytes: int
    """Of the bodies; a single message may exceed it."""
    max_wait: float
    """Seconds from the arrival of a batch's first delivery."""
    eager: bool
    jobs: int


@dataclass(slots=True, eq=False)
class _Lane:
    number: int
    deliveries: deque[Delivery] = field(default_factory=deque)
    bytes: int = 0
    busy: bool = False
    in_flight_since: str = ""
    """The publish time of the first delivery of the batch in flight."""

    def append(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self.bytes += len(delivery.data)

    def pop(self) -> Delivery:
        delivery = self.deliveries.popleft()
        self.bytes -= len(delivery.data)
        return delivery

    def age(self) -> float:
        """Return the age of its first message in seconds, 0 without any. For any thread."""
        try:
            since = self.in_flight_since or self.deliveries[0].publish_time
        except IndexError:
            return 0.0
        return max((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds(), 0.0)


class LaneQueues:
    """Deliveries that no batch has taken yet. Bounded by the stream's flow control."""

    def __init__(
        self, lanes: int, limits: BatchLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lanes = [_Lane(number) for number in range(lanes)]
        self._limits = limits
        self._clock = clock
        for lane in self._lanes:
            metrics.LANE_OLDEST.labels(lane_name(lane.number)).set_function(lane.age)
        self._changed = asyncio.Event()
        self._in_flight = 0
        self.closed = False

    def __len__(self) -> int:
        return sum(len(lane.deliveries) for lane in self._lanes)

    def put(self, deliveries: Iterable[Delivery]) -> None:
        """Add deliveries, each to its lane; does not block."""
        for delivery in deliveries:
            key = delivery.ordering_key or delivery.message_id
            self._lanes[lane_of_ordering_key(key, len(self._lanes))].append(delivery)
        self._changed.set()

    def close(self) -> None:
        """Let `next_batch` return None: the worker stops."""
        self.closed = True
        self._changed.set()

    def drain(self) -> list[Delivery]:
        """Remove and return all that wait."""
        drained = [delivery for lane in self._lanes for delivery in lane.deliveries]
        for lane in self._lanes:
            lane.deliveries.clear()
            lane.bytes = 0
        return drained

    async def next_batch(self) -> LaneBatch | None:
        """Wait until a lane's batch closes and take it; None once closed. `release` its lane."""
        while not self.closed:
            self._changed.clear()
            lane, due_in = self._soonest()
            if lane is not None and due_in is not None and due_in <= 0:
                return self._take(lane)
            try:
                async with asyncio.timeout(due_in):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return None

    def release(self, lane: int) -> None:
        """End a batch: its lane may have the next one in flight."""
        self._lanes[lane].busy = False
        self._lanes[lane].in_flight_since = ""
        self._in_flight -= 1
        self._changed.set()

    def _soonest(self) -> tuple[_Lane | None, float | None]:
        """Return the lane whose batch closes next, and in how many seconds."""
        waiting = [lane for lane in self._lanes if lane.deliveries and not lane.busy]
        if not waiting or self._in_flight >= self._limits.jobs:
            return None, None
        soonest = min(waiting, key=self._closes_at)
        return soonest, max(self._closes_at(soonest) - self._clock(), 0)

    def _closes_at(self, lane: _Lane) -> float:
        first = lane.deliveries[0].arrived_at
        if len(lane.deliveries) >= self._limits.messages or lane.bytes >= self._limits.bytes:
            return first
        if self._limits.eager and not self._in_flight:
            return first + min(GATHER_SECONDS, self._limits.max_wait)
        return first + self._limits.max_wait

    def _take(self, lane: _Lane) -> LaneBatch:
        batch = [lane.pop()]
        size = len(batch[0].data)
        while lane.deliveries and len(batch) < self._limits.messages:
            size += len(lane.deliveries[0].data)
            if size > self._limits.bytes:
                break
            batch.append(lane.pop())
        lane.busy = True
        lane.in_flight_since = batch[0].publish_time
        self._in_flight += 1
        return LaneBatch(lane.number, batch)
