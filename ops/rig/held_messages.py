"""What the subscribers of one Pub/Sub hold, and copies of it for a second subscriber.

Without exactly-once delivery Pub/Sub may deliver messages to a second subscriber while the first
one works on them, https://cloud.google.com/pubsub/docs/exactly-once-delivery. The messages of a key
come in order there too, from the oldest one without an acknowledgement,
https://cloud.google.com/pubsub/docs/ordering. So a copy begins with everything held of the key.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ops.rig import redeliveries


@dataclass(eq=False)
class OpenStream:
    """A subscriber's stream: `machine` is where it comes from, `send` writes a response to it."""

    machine: object
    send: Callable[[bytes], object]


class HeldMessages:
    """The messages that are delivered and not acknowledged; shared by all proxies of a Pub/Sub."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Any]] = {}
        """By ordering key and message id, in order."""
        self._places: dict[str, tuple[str, str]] = {}
        """Ordering key and message id by ack id."""
        self._streams: list[OpenStream] = []
        self._seconds: dict[str, OpenStream] = {}
        """The second subscriber of a key."""

    @contextmanager
    def open(self, stream: OpenStream) -> Iterator[None]:
        """Count a stream as open while the block runs."""
        self._streams.append(stream)
        try:
            yield
        finally:
            self._streams.remove(stream)

    def delivered(self, messages: list[Any]) -> None:
        for received in messages:
            place = _key(received), received.message.message_id
            self._held.setdefault(place[0], {})[place[1]] = received
            self._places[received.ack_id] = place

    def acked(self, ack_ids: list[str]) -> None:
        for ack_id in ack_ids:
            key, message_id = self._places.pop(ack_id, ("", ""))
            held = self._held.get(key, {})
            held.pop(message_id, None)
            if not held:
                self._held.pop(key, None)

    def begin(self) -> None:
        """Forget the second subscribers: they have missed messages since the last time."""
        self._seconds.clear()

    def copy(self, source: OpenStream, messages: list[Any]) -> int:
        """Send the messages of a response to second subscribers too; return how many were sent."""
        copies: dict[OpenStream, list[Any]] = {}
        for key in dict.fromkeys(map(_key, messages)):
            second = self._seconds.get(key)
            if second in self._streams and second is not source:
                new = [each for each in messages if _key(each) == key]
            elif second := self._another(source):
                self._seconds[key] = second
                new = list(self._held[key].values())
            else:
                continue
            copies.setdefault(second, []).extend(new)
        for stream, some in copies.items():
            stream.send(redeliveries.copied_elsewhere(some))
        return sum(map(len, copies.values()))

    def _another(self, source: OpenStream) -> OpenStream | None:
        """Return another stream, of another machine if there is one."""
        others = [each for each in self._streams if each is not source]
        far = [each for each in others if each.machine is not source.machine]
        return next(iter(far or others), None)


def _key(received: Any) -> str:
    message = received.message
    return str(message.ordering_key or f"\0{message.message_id}")
