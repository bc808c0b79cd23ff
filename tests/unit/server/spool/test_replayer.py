"""Rounds of the replayer: a real store, a topic that fails as the test sets it."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import prometheus_client
import pytest

from ops.rig import eventually
from schema import Message, lane_name, lane_of
from server.publish import SpoolFailed, encode
from server.spool.replayer import POLL_SECONDS, Replayer
from server.spool.state import BLOCKED, DRAINING, EMPTY, SPOOLING, ReplayLock, SpoolFlag
from server.spool.store import KeyedMessage, SpoolStore
from tests.support.server_in_process import FakeTopic, rpc_error

BIG = 100_000_000


@pytest.fixture
def store(tmp_path: Path, flag: SpoolFlag) -> Iterator[SpoolStore]:
    store = SpoolStore(tmp_path, flag, BIG)
    yield store
    store.close()


@pytest.fixture
async def topic() -> FakeTopic:
    return FakeTopic()


@pytest.fixture
def replayer(
    tmp_path: Path, flag: SpoolFlag, topic: FakeTopic, executor: ThreadPoolExecutor
) -> Iterator[Replayer]:
    store = SpoolStore(tmp_path, flag, BIG)
    lock = ReplayLock(tmp_path, flag)
    yield Replayer(store, flag, lock, topic, executor, longest_wait=0.5)
    executor.submit(store.close).result()  # behind whatever runs there still
    lock.close()


def waiting(key: str, name: str, size: int = 0) -> KeyedMessage:
    data = name.encode() + b" " * size
    at = "2026-01-01T00:00:00+00:00"
    encoded = encode(Message(data, name, "", at, "0" * 64, key, lane_of(key)))
    return encoded.ordering_key, encoded.SerializeToString()


def names(topic: FakeTopic, key: str) -> list[str]:
    lane = lane_name(lane_of(key))
    return [each.attributes["id"] for each in topic.messages if each.ordering_key == lane]


def gauge(name: str) -> float:
    value = prometheus_client.REGISTRY.get_sample_value(f"gatekeeper_spool_{name}")
    assert value is not None
    return value


async def test_each_key_goes_in_order_in_calls_that_pubsub_takes(
    store: SpoolStore, flag: SpoolFlag, topic: FakeTopic, replayer: Replayer
) -> None:
    sent = {key: [f"{key}{n}" for n in range(2_300)] for key in ("a", "b")}
    store.append([[waiting(key, name) for key in sent for name in sent[key]]])
    store.append([[waiting("large", f"l{n}", 4_000_000) for n in range(5)]])
    async with replayer.running():
        await eventually(lambda: flag.state == EMPTY)
    assert {key: names(topic, key) for key in sent} == sent
    assert names(topic, "large") == [f"l{n}" for n in range(5)]
    assert max(len(call) for call in topic.calls) == 1_000
    assert max(sum(each.ByteSize() for each in call) for call in topic.calls) < 9_500_000


async def test_a_key_that_fails_stops_at_its_failure_and_the_others_go_on(
    store: SpoolStore, topic: FakeTopic, replayer: Replayer
) -> None:
    store.append([[waiting("a", f"a{n}") for n in range(1_500)], [waiting("b", "b0")]])
    topic.errors = [rpc_error(grpc.StatusCode.UNAVAILABLE)]
    round_ = await replayer._round()
    assert isinstance(round_.error, grpc.aio.AioRpcError)
    assert names(topic, "a") == []
    assert names(topic, "b") == ["b0"]
    await replayer._settle()
    assert store.totals().messages == 1_500


async def test_what_was_published_is_deleted_before_anything_else_is_tried(
    store: SpoolStore,
    flag: SpoolFlag,
    topic: FakeTopic,
    replayer: Replayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk too full to delete on does not make every round publish the same again."""
    replayer.longest_wait = 0.01
    store.append([[waiting("a", "a0")]])
    settle = replayer.store.settle
    failures = iter([SpoolFailed("database or disk is full")] * 3)

    def failing(*values: object) -> None:
        if failure := next(failures, None):
            raise failure
        settle(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(replayer.store, "settle", failing)
    async with replayer.running():
        await eventually(lambda: flag.state == EMPTY)
    assert names(topic, "a") == ["a0"]
    assert [each.attributes["copy"] for each in topic.messages] == ["possible"]


async def test_an_end_in_the_middle_deletes_what_was_confirmed_by_then(
    store: SpoolStore, topic: FakeTopic, replayer: Replayer
) -> None:
    store.append([[waiting("a", f"a{n}") for n in range(1_500)]])
    publish = topic.publish

    async def second_hangs(*values: object) -> None:
        if topic.calls:
            topic.open.clear()
        await publish(*values)  # type: ignore[arg-type]

    topic.publish = second_hangs  # type: ignore[assignment,method-assign]
    async with replayer.running():
        await eventually(lambda: topic.calls and topic.under_way)
    assert store.totals().messages == 500


async def test_while_pubsub_is_unreachable_it_is_checked_and_nothing_is_sent_again(
    store: SpoolStore, flag: SpoolFlag, topic: FakeTopic, replayer: Replayer
) -> None:
    store.append([[waiting("a", "a0")]])
    topic.errors = [rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED)]
    topic.check_error = rpc_error(grpc.StatusCode.UNAVAILABLE)
    async with replayer.running():
        await eventually(lambda: topic.checks >= 3)
        assert topic.errors == []
        assert topic.calls == []
        assert gauge("messages") == 1
        assert gauge("bytes") > 0
        topic.check_error = None
        await eventually(lambda: flag.state == EMPTY)
        await eventually(lambda: gauge("messages") == gauge("bytes") == 0)
    assert names(topic, "a") == ["a0"]


async def test_a_refused_message_is_moved_aside_and_the_rest_of_its_call_published(
    store: SpoolStore, flag: SpoolFlag, topic: FakeTopic, replayer: Replayer
) -> None:
    store.append([[waiting("a", str(n)) for n in range(6)]])
    topic.refused = {b"1", b"4"}
    async with replayer.running():
        await eventually(lambda: flag.state == EMPTY)
    assert names(topic, "a") == ["0", "2", "3", "5"]
    kept = store._db.connection.execute("SELECT error FROM refused").fetchall()
    assert kept == [("INVALID_ARGUMENT: as the test asks",)] * 2


async def test_a_spool_that_cannot_be_read_is_blocked(
    store: SpoolStore,
    flag: SpoolFlag,
    topic: FakeTopic,
    replayer: Replayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replayer.longest_wait = 0.01
    store.append([[waiting("a", "a0")]])

    def unreadable(*_: object) -> None:
        raise SpoolFailed("database disk image is malformed")

    async with replayer.running():
        with monkeypatch.context() as patch:
            patch.setattr(replayer.store, "read", unreadable)
            await eventually(lambda: flag.state == BLOCKED)
        await eventually(lambda: flag.state == EMPTY)
    assert names(topic, "a") == ["a0"]


async def test_the_servers_wait_briefly_and_not_again_immediately(
    flag: SpoolFlag, replayer: Replayer
) -> None:
    flag.state = SPOOLING
    await replayer._steer(last=True)
    assert flag.state == DRAINING
    await replayer._steer(last=False)
    assert flag.state == SPOOLING

    replayer._drained_at = time.monotonic() - 1  # the moment is over, and the spool not empty
    flag.state = DRAINING
    await replayer._steer(last=True)
    assert flag.state == SPOOLING


async def test_only_the_replayer_with_the_lock_works(
    tmp_path: Path, store: SpoolStore, flag: SpoolFlag, topic: FakeTopic, replayer: Replayer
) -> None:
    other = ReplayLock(tmp_path, flag)
    assert other.try_acquire()
    flag.heartbeat()
    store.append([[waiting("a", "a0")]])
    async with replayer.running():
        await asyncio.sleep(2 * POLL_SECONDS)
        assert topic.calls == []
        other.release()
        await eventually(lambda: topic.calls)
    other.close()
