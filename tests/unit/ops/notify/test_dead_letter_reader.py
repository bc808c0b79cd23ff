import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import DeadlineExceeded
from google.pubsub_v1 import PullResponse, ReceivedMessage

from ops.notify import InvalidReceivers, Outbox, Receivers
from ops.notify.dead_letter_reader import DeadLetterReader
from tests.support.dead_letters import received
from tests.support.stream import insert, transaction

URL = "https://a.example"


class FakePull:
    """The two calls of a subscriber that the reader makes."""

    def __init__(self, *messages: ReceivedMessage) -> None:
        self.messages = messages
        self.acked: list[str] = []

    async def pull(self, **_: Any) -> PullResponse:
        if not self.messages:
            raise DeadlineExceeded("nothing came")
        return PullResponse(received_messages=self.messages)

    async def acknowledge(self, *, subscription: str, ack_ids: list[str]) -> None:
        assert subscription == "s"
        self.acked += ack_ids


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.sqlite")) as opened:
        yield opened


def reader_of(client: FakePull, outbox: Outbox, receivers: Any = None) -> DeadLetterReader:
    found = receivers or (lambda: Receivers({"shop": URL}, {}))
    return DeadLetterReader(client, "s", found, outbox, lambda: 0.0)  # type: ignore[arg-type]


async def test_dead_letters_are_gathered_and_then_acknowledged(outbox: Outbox) -> None:
    body = transaction(insert("orders", n=1))
    client = FakePull(received("a1", body), received("a2", body), received("a3", "no transaction"))
    await reader_of(client, outbox).read_once()

    by_table = {each.table: each for each in outbox.due(60)[URL]}
    assert by_table["orders"].ids == ("a1", "a2")
    assert by_table["orders"].error == "because"
    assert by_table[""].ids == ("a3",)
    assert len(client.acked) == 3


async def test_what_nobody_wants_to_know_is_acknowledged(outbox: Outbox) -> None:
    client = FakePull(received("a1", 1))
    await reader_of(client, outbox, lambda: Receivers({}, {})).read_once()
    assert (outbox.due(60), len(client.acked)) == ({}, 1)


async def test_nothing_is_acknowledged_that_is_not_kept(outbox: Outbox) -> None:
    client = FakePull(received("a1", 1))
    outbox.close()
    with pytest.raises(sqlite3.ProgrammingError):
        await reader_of(client, outbox).read_once()
    assert client.acked == []


async def test_while_the_keys_cannot_be_read_dead_letters_wait(outbox: Outbox) -> None:
    def unreadable() -> Receivers:
        raise InvalidReceivers("line 1")

    client = FakePull(received("a1", 1))
    with pytest.raises(InvalidReceivers):
        await reader_of(client, outbox, unreadable).read_once()
    assert client.acked == []


async def test_a_quiet_topic_is_no_error(outbox: Outbox) -> None:
    await reader_of(FakePull(), outbox).read_once()
