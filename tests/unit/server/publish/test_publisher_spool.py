"""How the publisher and the spool share the work: a real store, a topic that fails as set."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from ops.rig import eventually
from ops.runtime.settings import Settings
from schema import Message, lane_name, lane_of
from server.publish import Publisher, PublishFailed, PublishLimits, SpoolFailed
from server.spool import SpoolWriter, open_spool, spool_folder
from server.spool.state import BLOCKED, DRAINING, EMPTY, SPOOLING
from server.spool.store import KeyedMessage, SpoolStore
from tests.support.lane_keys import key_of_lane
from tests.support.server_in_process import FakeTopic, rpc_error

DOWN = rpc_error(grpc.StatusCode.UNAVAILABLE)


class FaultyTopic(FakeTopic):
    """Also fails every call while `fault` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: BaseException | None = None

    async def publish(self, messages: Sequence[Any], timeout: float) -> None:  # noqa: ASYNC109
        if self.fault is not None:
            raise self.fault
        await super().publish(messages, timeout)

    async def check(self, timeout: float) -> None:  # noqa: ASYNC109
        self.check_error = self.fault
        await super().check(timeout)

    @property
    def texts(self) -> list[str]:
        return [each.data.decode() for each in self.messages]


class PublishingServer:
    """A server's publisher and its end of the spool."""

    def __init__(
        self, topic: FaultyTopic, spool: SpoolWriter, limits: PublishLimits | None = None
    ) -> None:
        self.spool = spool
        self.publisher = Publisher(topic, limits or PublishLimits(slots=4), spool=spool)

    def send(self, name: str, key: str = "k") -> asyncio.Future[bool]:
        at = "2026-01-01T00:00:00+00:00"
        message = Message(name.encode(), name, "", at, "0" * 64, key, lane_of(key))
        return self.publisher.enqueue(message)

    @property
    def state(self) -> int:
        return self.spool._flag.state


type Start = Callable[..., Awaitable[PublishingServer]]


@pytest.fixture
def topic() -> FaultyTopic:
    return FaultyTopic()


@pytest.fixture
async def start(topic: FaultyTopic, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts servers that share a spool."""
    async with AsyncExitStack() as stack:

        async def started(max_bytes: int = 10_000_000) -> PublishingServer:
            settings = Settings.parse(
                {"STATE_DIR": str(tmp_path), "SPOOL_MAX_BYTES": str(max_bytes)}
            )
            spool = await stack.enter_async_context(open_spool(settings, topic))
            assert spool is not None
            server = PublishingServer(topic, spool)
            stack.push_async_callback(server.publisher.drain)
            return server

        yield started
        topic.open.set()


@pytest.fixture
async def server(start: Start) -> PublishingServer:
    return await start()


async def test_while_pubsub_is_there_nothing_is_spooled(
    topic: FaultyTopic, server: PublishingServer
) -> None:
    assert await server.send("1") is False
    assert topic.texts == ["1"]
    assert server.state == EMPTY


async def test_an_unreachable_pubsub_is_spooled_soon_and_replayed_in_order(
    topic: FaultyTopic, server: PublishingServer
) -> None:
    topic.fault = DOWN
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcomes = [server.send(str(n)) for n in range(5)]
    assert await asyncio.gather(*outcomes) == [True] * 5
    assert loop.time() - began < 2
    assert await server.send("5") is True

    topic.fault = None
    await eventually(lambda: server.state == EMPTY)
    assert await server.send("6") is False
    assert topic.texts == [str(n) for n in range(7)]


async def test_a_spooled_message_is_published_as_it_was(
    topic: FaultyTopic, server: PublishingServer
) -> None:
    topic.fault = DOWN
    await server.send("name", "key \u00e9")
    topic.fault = None
    await eventually(lambda: topic.messages)
    (message,) = topic.messages
    assert message.ordering_key == lane_name(lane_of("key \u00e9"))
    assert message.attributes["ordering_key"] == "key \u00e9"
    assert message.data == b"name"
    assert message.attributes["id"] == "name"
    assert message.attributes["sha256"] == "0" * 64


async def test_what_another_server_spooled_goes_first(topic: FaultyTopic, start: Start) -> None:
    one, other = await start(), await start()
    topic.fault = DOWN
    assert await one.send("1")
    assert await other.send("2")
    assert await one.send("3")
    topic.fault = None
    await eventually(lambda: one.state == EMPTY)
    await other.send("4")
    assert topic.texts == ["1", "2", "3", "4"]


async def test_what_waits_behind_a_failed_call_is_spooled_behind_it(
    topic: FaultyTopic, server: PublishingServer
) -> None:
    topic.open.clear()
    first = server.send("first")
    await eventually(lambda: topic.under_way)
    behind = [server.send(f"behind {n}") for n in range(3)]
    topic.errors = [rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED)]
    topic.open.set()

    assert await asyncio.gather(first, *behind) == [True] * 4
    await eventually(lambda: server.state == EMPTY)
    assert topic.texts == ["first", *(f"behind {n}" for n in range(3))]


async def test_a_call_without_an_answer_is_not_tried_again(
    topic: FaultyTopic, server: PublishingServer
) -> None:
    topic.errors = [rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED)]
    assert await server.send("1") is True


async def test_a_busy_pubsub_is_given_a_moment(
    topic: FaultyTopic, server: PublishingServer
) -> None:
    topic.errors = [rpc_error(grpc.StatusCode.RESOURCE_EXHAUSTED)] * 3
    assert await server.send("1") is False


async def test_a_pubsub_that_stays_busy_is_spooled(
    topic: FaultyTopic, server: PublishingServer
) -> None:
    server = PublishingServer(topic, server.spool, PublishLimits(busy_seconds=0.1))
    topic.fault = rpc_error(grpc.StatusCode.ABORTED)
    assert await server.send("1") is True
    topic.fault = None


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INVALID_ARGUMENT,
    ],
)
async def test_a_permanent_fault_is_not_spooled(
    topic: FaultyTopic, server: PublishingServer, code: grpc.StatusCode
) -> None:
    topic.fault = rpc_error(code)
    results = await asyncio.gather(server.send("1"), server.send("2"), return_exceptions=True)
    assert [type(each) for each in results] == [PublishFailed] * 2
    assert server.state == EMPTY


async def test_a_permanent_fault_after_an_outage_blocks_the_spool_until_it_is_fixed(
    topic: FaultyTopic, start: Start
) -> None:
    one, other = await start(), await start()
    topic.fault = DOWN
    await one.send("1")
    topic.fault = rpc_error(grpc.StatusCode.NOT_FOUND)
    await eventually(lambda: one.state == BLOCKED)
    for server in (one, other):
        with pytest.raises(PublishFailed):
            await server.send("refused")

    topic.fault = None
    await eventually(lambda: one.state == EMPTY)
    await other.send("2")
    assert topic.texts == ["1", "2"]


async def test_a_full_spool_takes_what_fits_and_nothing_behind_the_rest(
    topic: FaultyTopic, start: Start
) -> None:
    topic.fault = DOWN
    server = await start(600)
    outcomes = [server.send(str(n)) for n in range(6)]
    results = await asyncio.gather(*outcomes, return_exceptions=True)
    stored = results.count(True)
    assert 0 < stored < 6
    assert results[:stored] == [True] * stored
    assert all(isinstance(each, PublishFailed) for each in results[stored:])
    with pytest.raises(PublishFailed):
        await server.send("one more")

    topic.fault = None
    await eventually(lambda: server.state == EMPTY)
    assert await server.send("later") is False
    assert topic.texts == [*(str(n) for n in range(stored)), "later"]


async def test_nothing_overtakes_a_message_that_the_spool_had_no_room_for(
    topic: FaultyTopic, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.fault = DOWN
    server = await start(2_000)
    assert await server.send("first") is True
    store = cast("SpoolStore", server.spool._store)
    append, begun, go_on = store.append, threading.Event(), threading.Event()

    def slow(groups: Sequence[Sequence[KeyedMessage]]) -> list[int]:
        begun.set()
        assert go_on.wait(10)
        return append(groups)

    monkeypatch.setattr(store, "append", slow)
    large = server.send("large" * 1_000)
    await eventually(begun.is_set)
    small = server.send("small")
    go_on.set()
    results = await asyncio.gather(large, small, return_exceptions=True)
    assert [type(each) for each in results] == [PublishFailed] * 2
    topic.fault = None


async def test_a_store_that_fails_is_a_failure_of_those_messages_alone(
    topic: FaultyTopic, server: PublishingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.fault = DOWN
    store = server.spool._store

    def broken(_: object) -> list[int]:
        raise SpoolFailed("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "append", broken)
        with pytest.raises(PublishFailed):
            await server.send("lost")
    assert await server.send("kept") is True
    topic.fault = None
    await eventually(lambda: topic.texts == ["kept"])


async def test_a_message_that_pubsub_refuses_does_not_block_the_rest(
    topic: FaultyTopic, server: PublishingServer
) -> None:
    topic.fault = DOWN
    await asyncio.gather(*(server.send(str(n)) for n in range(5)), server.send("other", "l"))
    topic.refused = {b"2"}
    topic.fault = None
    await eventually(lambda: server.state == EMPTY)
    assert [text for text in topic.texts if text != "other"] == ["0", "1", "3", "4"]


async def test_a_spool_that_is_about_to_be_empty_is_waited_for(
    topic: FaultyTopic, server: PublishingServer
) -> None:
    server.spool._drain_seconds = 30
    server.spool._flag.heartbeat()
    server.spool._flag.state = DRAINING
    outcome = server.send("1")
    assert await outcome is False  # the replayer finds nothing and clears the flag
    assert topic.texts == ["1"]


def _is_past(topic: FaultyTopic, calls: int) -> bool:
    return len(topic.calls) > calls


async def test_under_a_steady_load_the_spool_becomes_empty_nonetheless(
    topic: FaultyTopic, start: Start
) -> None:
    servers = [await start(), await start()]
    sent: dict[str, list[str]] = {key_of_lane(n): [] for n in range(6)}
    dice = random.Random(3)
    done = False

    async def client(key: str) -> None:
        """Send one after another, each to any server, as a client that waits for its answers."""
        while not done:
            name = f"{key}-{len(sent[key])}"
            sent[key].append(name)
            await dice.choice(servers).send(name, key)
            await asyncio.sleep(0)

    clients = [asyncio.create_task(client(key)) for key in sent]
    for fault in (DOWN, rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED)):
        enough = len(topic.calls) + 20
        await eventually(partial(_is_past, topic, enough))
        topic.fault = fault
        await eventually(lambda: servers[0].state == SPOOLING)
        await asyncio.sleep(0.05)
        topic.fault = None
        await eventually(lambda: servers[0].state == EMPTY)
    done = True
    await asyncio.gather(*clients)
    for each in servers:
        await each.publisher.drain()
    await eventually(lambda: servers[0].state == EMPTY)

    for key, names in sent.items():
        assert [text for text in topic.texts if text.startswith(f"{key}-")] == names


async def test_without_a_usable_store_an_outage_ends_in_time(
    topic: FaultyTopic, server: PublishingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that waits for a slot meanwhile does not wait for its own call."""
    monkeypatch.setattr(server.spool, "_store", "no permission")
    server = PublishingServer(topic, server.spool, PublishLimits(slots=1, seconds=0.3))
    topic.open.clear()
    outcomes = [server.send("first"), server.send("other", "l"), server.send("third", "m")]
    await asyncio.sleep(0.35)
    topic.errors = [rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED)]
    topic.open.set()
    results = await asyncio.gather(*outcomes, return_exceptions=True)
    assert [type(each) for each in results] == [PublishFailed] * 3
    assert topic.texts == []


async def test_draining_leaves_nothing_between_pubsub_and_the_spool(
    topic: FaultyTopic, server: PublishingServer
) -> None:
    topic.fault = DOWN
    outcomes = [server.send(str(n), f"k{n % 9}") for n in range(50)]
    await server.publisher.drain()
    assert all(outcome.result() for outcome in outcomes)
    topic.fault = None


async def test_messages_left_behind_are_published_by_the_next_server(
    topic: FaultyTopic, tmp_path: Path
) -> None:
    settings = Settings.parse({"STATE_DIR": str(tmp_path)})
    topic.fault = DOWN
    async with open_spool(settings, topic) as spool:
        assert spool is not None
        server = PublishingServer(topic, spool)
        await asyncio.gather(*(server.send(str(n)) for n in range(3)))
    topic.fault = None
    off = Settings.parse({"STATE_DIR": str(tmp_path), "SPOOL_MAX_BYTES": "0"})
    async with open_spool(off, topic) as spool:
        assert spool is not None
        await eventually(lambda: len(topic.texts) == 3)
        await eventually(lambda: not spool.in_use)
    assert topic.texts == ["0", "1", "2"]
    async with open_spool(off, topic) as spool:
        assert spool is None


async def test_what_waits_for_one_topic_is_not_published_to_another(
    topic: FaultyTopic, tmp_path: Path
) -> None:
    topic.fault = DOWN
    async with open_spool(Settings.parse({"STATE_DIR": str(tmp_path)}), topic) as spool:
        assert spool is not None
        await PublishingServer(topic, spool).send("1")
    assert spool_folder(Settings.parse({"STATE_DIR": str(tmp_path)})).stat().st_mode & 0o77 == 0
    topic.fault = None
    other = Settings.parse({"STATE_DIR": str(tmp_path), "TOPIC_ID": "another"})
    async with open_spool(other, topic) as spool:
        assert spool is not None
        assert not spool.in_use


async def test_a_folder_that_cannot_be_written_leaves_a_gate_without_a_spool(
    topic: FaultyTopic, tmp_path: Path
) -> None:
    (tmp_path / "spool").write_text("a file")
    async with open_spool(Settings.parse({"STATE_DIR": str(tmp_path)}), topic) as spool:
        assert spool is None
