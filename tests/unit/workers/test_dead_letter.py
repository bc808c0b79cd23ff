from typing import Any, cast

import pytest
from google.api_core.exceptions import NotFound, ServiceUnavailable
from google.pubsub_v1 import PublisherAsyncClient, PubsubMessage

from schema import MAX_ATTRIBUTE_BYTES, MAX_CALL_MESSAGES, Reason, Rejection
from tests.support.deliveries import body, delivery, insert, number
from workers.commit import Outcome
from workers.dead_letter import DeadLetters
from workers.decode import decode


class FakePublisher:
    def __init__(self) -> None:
        self.sent: list[list[PubsubMessage]] = []
        self.failures: list[Exception] = []

    async def publish(self, *, topic: str, messages: list[PubsubMessage], **_how: Any) -> None:
        assert topic == "a/topic"
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(messages)


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def dead_letters(publisher: FakePublisher) -> DeadLetters:
    return DeadLetters(cast("PublisherAsyncClient", publisher), "a/topic", seconds=10)


def _rejected(data: bytes = b"{", error: str = "why", key: str = "k", **attributes: Any) -> Outcome:
    entry = decode(delivery(data, ordering_key=key, **attributes))
    return Outcome(entry, Rejection(Reason.INVALID_SCHEMA, error))


async def test_a_rejected_message_goes_whole_with_its_reason(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    await dead_letters.publish([_rejected(b"\xff{", id="x", source="team", extra="kept")])

    ((message,),) = publisher.sent
    assert message.data == b"\xff{"
    assert message.ordering_key == "lane-29"  # of the key k
    assert message.attributes["id"] == "x"
    assert message.attributes["source"] == "team"
    assert message.attributes["extra"] == "kept"
    assert message.attributes["reason"] == "invalid_schema"
    assert message.attributes["error"] == "why"


async def test_a_message_without_an_id_takes_the_one_that_the_ledger_has(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    outcome = _rejected()

    await dead_letters.publish([outcome])

    assert publisher.sent[0][0].attributes["id"] == outcome.message.delivery.message_id


async def test_a_long_error_is_cut_at_a_character_to_what_an_attribute_holds(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    await dead_letters.publish([_rejected(error="x" + "é" * 2_000)])

    size = len(publisher.sent[0][0].attributes["error"].encode())
    assert size == MAX_ATTRIBUTE_BYTES - 1


async def test_what_was_applied_is_not_published(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    applied = Outcome(decode(delivery(body(insert("t", a=number(1))))), None)

    await dead_letters.publish([applied])

    assert publisher.sent == []


async def test_many_are_published_in_calls_that_pubsub_takes(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    await dead_letters.publish([_rejected(b"x")] * (MAX_CALL_MESSAGES + 1))
    assert [len(part) for part in publisher.sent] == [MAX_CALL_MESSAGES, 1]


async def test_a_call_holds_messages_of_one_ordering_key_alone(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    await dead_letters.publish([_rejected(b"1"), _rejected(b"2", key="other"), _rejected(b"3")])

    sent = [[(each.ordering_key, each.data) for each in part] for part in publisher.sent]
    assert sent == [[("lane-29", b"1"), ("lane-29", b"3")], [("lane-00", b"2")]]


async def test_it_is_tried_again_while_pubsub_is_away(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    publisher.failures.append(ServiceUnavailable("restarting"))

    await dead_letters.publish([_rejected()])

    assert len(publisher.sent) == 1


async def test_a_failure_for_good_is_the_callers(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    publisher.failures.append(NotFound("no topic"))

    with pytest.raises(NotFound):
        await dead_letters.publish([_rejected()])
