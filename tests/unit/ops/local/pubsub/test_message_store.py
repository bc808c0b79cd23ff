import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ops.local.pubsub import message_store
from ops.local.pubsub.message_store import InUse, MessageRow, MessageStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[MessageStore]:
    store = MessageStore(tmp_path)
    yield store
    await store.close()


def rows(*seqs: int) -> list[MessageRow]:
    return [MessageRow(seq, seq * 1_000, "key", b"body %d" % seq) for seq in seqs]


def ignore(_: None) -> None: ...


async def two_subscriptions(store: MessageStore) -> tuple[int, int, int]:
    topic = await store.create_topic("t", b"topic")
    first = await store.create_subscription("s1", topic, b"one")
    second = await store.create_subscription("s2", topic, b"two")
    return topic, first, second


async def seqs(store: MessageStore, subscription: int) -> list[int]:
    return [row[0] for row in await store.unacked(subscription, 0, 100)]


async def test_a_body_stays_until_the_last_subscription_has_acked_it(store: MessageStore) -> None:
    topic, first, second = await two_subscriptions(store)
    await store.publish(topic, [first, second], rows(1, 2, 3), ignore)
    await store.ack(first, [1, 2])
    await store.ack(second, [2])
    assert sorted(await store.bodies([1, 2, 3])) == [1, 3]
    assert await seqs(store, first) == [3]
    assert await seqs(store, second) == [1, 3]


async def test_a_deleted_subscription_takes_its_messages_along(store: MessageStore) -> None:
    topic, first, second = await two_subscriptions(store)
    await store.publish(topic, [first, second], rows(1), ignore)
    await store.publish(topic, [first], rows(2), ignore)
    await store.delete_subscription(first)
    assert sorted(await store.bodies([1, 2])) == [1]
    assert await seqs(store, second) == [1]


async def test_without_a_subscription_only_the_number_is_kept(tmp_path: Path) -> None:
    store = MessageStore(tmp_path)
    topic = await store.create_topic("t", b"topic")
    await store.publish(topic, [], rows(1, 2), ignore)
    assert await store.bodies([1, 2]) == {}
    await store.close()
    again = MessageStore(tmp_path)
    assert again.last_seq == 2
    assert again.base == store.base
    await again.close()


@pytest.mark.parametrize(("moment", "last"), [(0, 0), (2_000, 1), (2_001, 2), (9_999, 3)])
async def test_the_last_message_before_a_moment_is_found(
    store: MessageStore, moment: int, last: int
) -> None:
    topic, first, _ = await two_subscriptions(store)
    await store.publish(topic, [first], rows(1, 2, 3), ignore)
    assert await store.last_before(first, moment) == last


async def test_dropping_removes_rows_and_bodies(store: MessageStore) -> None:
    topic, first, second = await two_subscriptions(store)
    await store.publish(topic, [first, second], rows(1, 2, 3), ignore)
    await store.drop_through(first, 2)
    await store.drop_through(second, 1)
    assert await seqs(store, first) == [3]
    assert sorted(await store.bodies([1, 2, 3])) == [2, 3]
    assert await store.oldest(second) == 2_000


async def test_pages_of_the_backlog_follow_one_another(store: MessageStore) -> None:
    topic, first, _ = await two_subscriptions(store)
    await store.publish(topic, [first], rows(1, 2, 3), ignore)
    assert await store.unacked(first, 1, 1) == [(2, len(b"body 2"), "key")]


async def test_a_directory_is_opened_once(store: MessageStore, tmp_path: Path) -> None:
    del store
    with pytest.raises(InUse, match=str(tmp_path)):
        MessageStore(tmp_path)


@pytest.mark.parametrize("which", ["seq IN (SELECT value FROM json_each('[1]'))", "seq < 9"])
def test_settling_never_reads_the_whole_backlog(which: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(message_store._SCHEMA)
    statement = "EXPLAIN QUERY PLAN " + message_store._DROP_UNHELD.format(which=which)
    plan = [row[3] for row in connection.execute(statement)]
    connection.close()
    assert not [line for line in plan if line.startswith(("SCAN u", "SCAN messages"))]


async def test_tokens_ascend_from_run_to_run_though_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = []
    for year in (2030, 2020, 2025):
        monkeypatch.setattr("time.time_ns", lambda year=year: (year - 1970) * 31_556_952 * 10**9)
        store = MessageStore(tmp_path)
        tokens.append(store.first_token)
        await store.close()
    assert tokens == sorted(set(tokens))
