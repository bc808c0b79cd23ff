"""A second subscriber gets the messages of a key without a gap."""

from typing import Any

from google.pubsub_v1 import types

from ops.rig.held_messages import HeldMessages, OpenStream
from ops.rig.redeliveries import received_messages


def received(*numbers: int, key: str = "k") -> list[Any]:
    message = types.ReceivedMessage.pb()
    return [
        message(ack_id=f"a{n}", message={"message_id": f"m{n}", "ordering_key": key})
        for n in numbers
    ]


class Streams:
    """Streams of two machines, two of the first; `sent` has the ack ids by stream."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = [[], [], []]
        self.streams = [
            OpenStream(machine, self._send(n)) for n, machine in enumerate(["near", "near", "far"])
        ]

    def _send(self, number: int) -> Any:
        def send(response: bytes) -> None:
            self.sent[number] += [each.ack_id for each in received_messages(response)]

        return send


def deliver(held: HeldMessages, stream: OpenStream, *numbers: int) -> int:
    messages = received(*numbers)
    held.delivered(messages)
    return held.copy(stream, messages)


def test_a_copy_begins_with_the_oldest_message_held_and_goes_to_another_machine() -> None:
    held, three = HeldMessages(), Streams()
    first, near, far = three.streams
    with held.open(first), held.open(near), held.open(far):
        held.delivered(received(1, 2, 3))
        held.acked(["a1"])
        assert deliver(held, first, 4) == 3
        assert deliver(held, first, 5) == 1
    assert three.sent == [[], [], ["other!a2", "other!a3", "other!a4", "other!a5"]]


def test_a_new_second_subscriber_gets_everything_that_is_held() -> None:
    held, three = HeldMessages(), Streams()
    first, near, far = three.streams
    with held.open(first), held.open(near):
        with held.open(far):
            deliver(held, first, 1)
        deliver(held, first, 2)
        held.begin()
        deliver(held, first, 3)
    assert three.sent[1] == ["other!a1", "other!a2", "other!a1", "other!a2", "other!a3"]


def test_nothing_is_copied_without_another_subscriber_or_once_acknowledged() -> None:
    held, three = HeldMessages(), Streams()
    with held.open(three.streams[0]):
        assert deliver(held, three.streams[0], 1) == 0
    held.acked(["a1"])
    assert not held._held
    assert not held._places
