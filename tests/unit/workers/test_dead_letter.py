from typing import Any, cast

import pytest
from google.api_core.exceptions import NotFound, ServiceUnavailable
from google.pubsub_v1 import PublisherAsyncClient, PubsubMessage

from schema import Reason, Rejection
from tests.support.deliveries import body, delivery, insert, number
from workers import dead_letter
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
    assert message.ordering_key == "k"
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
    assert size == dead_letter.MAX_ATTRIBUTE_BYTES - 1


async def test_what_was_applied_is_not_published(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    applied = Outcome(decode(delivery(body(insert("t", a=number(1))))), None)

    await dead_letters.publish([applied])

    assert publisher.sent == []


async def test_many_or_large_ones_are_published_in_parts(
    dead_letters: DeadLetters, publisher: FakePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter, "MAX_MESSAGES", 3)
    monkeypatch.setattr(dead_letter, "MAX_BYTES", 10_000)

    sizes = (100, 100, 100, 100, 9_000, 2_000, 50_000)  # the attributes' bytes come on top
    await dead_letters.publish([_rejected(b"x" * size) for size in sizes])

    assert [[len(each.data) for each in part] for part in publisher.sent] == [
        [100, 100, 100],
        [100, 9_000],
        [2_000],
        [50_000],
    ]


async def test_attributes_count_towards_the_size_of_a_call(
    dead_letters: DeadLetters, publisher: FakePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter, "MAX_BYTES", 1_500)

    await dead_letters.publish([_rejected(extra="x" * 1_000) for _ in range(2)])

    assert [len(part) for part in publisher.sent] == [1, 1]


async def test_a_call_holds_messages_of_one_ordering_key_alone(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    await dead_letters.publish([_rejected(b"1"), _rejected(b"2", key="other"), _rejected(b"3")])

    sent = [[(each.ordering_key, each.data) for each in part] for part in publisher.sent]
    assert sent == [[("k", b"1"), ("k", b"3")], [("other", b"2")]]


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
