import base64
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from google.api_core.exceptions import InvalidArgument, NotFound, ServiceUnavailable
from google.pubsub_v1 import PublisherAsyncClient, PubsubMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema import MAX_ATTRIBUTE_BYTES, MAX_CALL_MESSAGES, Reason, Rejection
from tests.support.deliveries import body, delivery, insert, number
from workers.dead_letter import DeadLetters
from workers.decode import decode
from workers.outcomes import Outcome


def pubsub_refuses(messages: list[PubsubMessage]) -> bool:
    """Return whether a call is beyond https://cloud.google.com/pubsub/quotas#resource_limits."""
    return sum(PubsubMessage.pb(each).ByteSize() for each in messages) > 10_000_000 or any(
        len(each.attributes) > 100
        or any(
            name.lower().startswith("goog")
            or len(name.encode()) > 256
            or len(value.encode()) > 1_024
            for name, value in each.attributes.items()
        )
        for each in messages
    )


class FakePublisher:
    def __init__(self) -> None:
        self.refuses_all = False
        self.sent: list[list[PubsubMessage]] = []
        self.failures: list[Exception] = []

    async def publish(self, *, topic: str, messages: list[PubsubMessage], **_how: Any) -> None:
        assert topic == "a/topic"
        if self.failures:
            raise self.failures.pop(0)
        if self.refuses_all or pubsub_refuses(messages):
            raise InvalidArgument("beyond a limit")
        self.sent.append(messages)


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def dead_letters(publisher: FakePublisher, tmp_path: Path) -> DeadLetters:
    return DeadLetters(
        cast("PublisherAsyncClient", publisher), "a/topic", seconds=10, folder=tmp_path / "files"
    )


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


async def test_more_attributes_than_pubsub_takes_are_trimmed_and_ours_stay(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    extra: dict[str, Any] = {f"a{number:02}": "x" for number in range(98)}
    poison = _rejected(id="x", source="team", **extra)

    await dead_letters.publish([_rejected(b"1"), poison, _rejected(b"3")])

    ((_, letter, _),) = publisher.sent
    assert len(letter.attributes) == 100
    assert {
        "id": "x",
        "source": "team",
        "reason": "invalid_schema",
        "trimmed": "attributes",
    }.items() <= dict(letter.attributes).items()


async def test_what_pubsub_refuses_goes_as_a_trimmed_copy_and_the_others_whole(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    await dead_letters.publish([_rejected(b"1"), _rejected(b"2", googid="x"), _rejected(b"3")])

    sent = [message for call in publisher.sent for message in call]
    assert [message.data for message in sent] == [b"1", b"2", b"3"]
    assert [message.attributes.get("trimmed") for message in sent] == [None, "attributes", None]


async def test_data_that_leaves_no_room_for_the_reason_is_cut(
    dead_letters: DeadLetters, publisher: FakePublisher
) -> None:
    await dead_letters.publish([_rejected(b"x" * 10_000_000)])

    ((message,),) = publisher.sent
    assert message.attributes["trimmed"] == "attributes, data"
    assert len(message.data) > 9_000_000


async def test_what_pubsub_refuses_in_any_form_is_written_to_a_file(
    dead_letters: DeadLetters, publisher: FakePublisher, tmp_path: Path
) -> None:
    publisher.refuses_all = True
    outcome = _rejected(b"\xff{", id="x")
    for _ in range(2):
        await dead_letters.publish([outcome])

    (file,) = (tmp_path / "files").iterdir()
    kept = json.loads(file.read_text())
    assert base64.b64decode(kept["data"]) == b"\xff{"
    assert kept["attributes"]["reason"] == "invalid_schema"


async def test_without_a_disk_for_it_the_batch_is_held(
    dead_letters: DeadLetters, publisher: FakePublisher, tmp_path: Path
) -> None:
    publisher.refuses_all = True
    (tmp_path / "files").write_text("no folder")

    with pytest.raises(ServiceUnavailable):
        await dead_letters.publish([_rejected()])


_NAMES = st.text(min_size=1, max_size=300) | st.sampled_from(["id", "reason", "error", "goog-x"])
_TEXTS = st.text(max_size=50) | st.just("x" * 1_024) | st.just("a\0b")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(_NAMES, _TEXTS, max_size=100), st.binary(max_size=50), st.text(max_size=2_000)
)
async def test_every_message_ends(
    tmp_path: Path, attributes: dict[str, str], data: bytes, error: str
) -> None:
    publisher = FakePublisher()
    letters = DeadLetters(
        cast("PublisherAsyncClient", publisher), "a/topic", seconds=10, folder=tmp_path
    )
    pulled = replace(delivery(data, ordering_key="k"), attributes=attributes)
    outcome = Outcome(decode(pulled), Rejection(Reason.INVALID_SCHEMA, error))

    await letters.publish([outcome])

    ((letter,),) = publisher.sent
    assert letter.data == data
    assert letter.attributes["id"] == outcome.message.message.id
    assert letter.attributes["reason"] == "invalid_schema"
    assert os.listdir(tmp_path) == []  # noqa: PTH208
