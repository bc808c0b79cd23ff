"""The publisher against servers of the real API: ours, and Google's emulator where there is one."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ops.rig import Service, eventually, free_port
from ops.runtime import clients
from ops.runtime.settings import Settings
from schema import Message, lane_name, lane_of
from server.api import Readiness
from server.publish import Publisher, PublishFailed, PublishLimits, Topic
from server.publish.queue import PublishQueue
from tests.integration.pubsub.conftest import emulator_command
from tests.support.lane_keys import key_of_lane
from tests.support.pubsub import Client, local_server


@pytest.fixture(scope="module", params=["local", "google"])
def address(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    port = free_port()
    if request.param == "google":
        service = Service(emulator_command(port))
    else:
        service = local_server(tmp_path_factory.mktemp("pubsub"), port)
    with service:
        service.wait_for_port(f"127.0.0.1:{port}")
        yield f"127.0.0.1:{port}"


def settings(address: str, topic: str) -> Settings:
    return Settings.parse({"PUBSUB_EMULATOR_HOST": address, "TOPIC_ID": topic})


@contextlib.asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Topic]:
    publisher = clients.publisher(settings)
    yield Topic(publisher, settings.topic_path)
    await clients.close(publisher)


@pytest.fixture
async def client(address: str) -> AsyncIterator[Client]:
    client = Client(address)
    yield client
    await client.channel.close()


@pytest.fixture
async def topic(address: str, client: Client) -> AsyncIterator[tuple[Topic, str]]:
    created = settings(address, f"topic-{random.getrandbits(40)}")
    await client.publisher.create_topic(name=created.topic_path)
    async with connected(created) as topic:
        yield topic, created.topic_path


def message(key: str, name: str, size: int = 0) -> Message:
    data = name.encode() + b" " * size
    at = "2026-01-01T00:00:00+00:00"
    return Message(data, name, "team", at, "0" * 64, key, lane_of(key))


async def test_a_message_arrives_as_it_was_composed(
    topic: tuple[Topic, str], client: Client
) -> None:
    destination, path = topic
    subscription = await client.subscription(path)
    await Publisher(destination).enqueue(message("key \u00e9", "m1"))

    (got,) = await client.pull(subscription, 1)
    assert got.message.data == b"m1"
    assert got.message.ordering_key == lane_name(lane_of("key \u00e9"))
    assert dict(got.message.attributes) == {
        "id": "m1",
        "source": "team",
        "received_at": "2026-01-01T00:00:00+00:00",
        "sha256": "0" * 64,
        "ordering_key": "key \u00e9",
    }


async def test_each_keys_messages_arrive_in_the_order_of_enqueue(
    topic: tuple[Topic, str], client: Client
) -> None:
    destination, path = topic
    subscription = await client.subscription(path, enable_message_ordering=True)
    publisher = Publisher(destination, PublishLimits(slots=3), PublishQueue(max_messages=7))
    dice = random.Random(11)
    enqueued: dict[str, list[str]] = {}
    outcomes = []
    for number in range(200):
        key = key_of_lane(dice.randrange(5))
        enqueued.setdefault(key, []).append(str(number))
        outcomes.append(publisher.enqueue(message(key, str(number))))
        if dice.random() < 0.1:
            await asyncio.sleep(0.001)
    await asyncio.gather(*outcomes)

    arrived: dict[str, list[str]] = {}
    async with client.stream(subscription) as stream:
        for got in await stream.receive(200):
            key = got.message.attributes["ordering_key"]
            arrived.setdefault(key, []).append(got.message.data.decode())
    assert arrived == enqueued


async def test_a_batch_keeps_within_what_one_call_may_hold(topic: tuple[Topic, str]) -> None:
    destination, _ = topic
    publisher = Publisher(destination)
    many = [publisher.enqueue(message("k", str(n))) for n in range(1_500)]
    large = [publisher.enqueue(message("k", str(n), 1_000_000)) for n in range(12)]
    await asyncio.gather(*many, *large)


async def test_a_missing_topic_fails_messages_and_makes_the_server_unready(address: str) -> None:
    async with connected(settings(address, "no-such-topic")) as topic:
        publisher = Publisher(topic)
        with pytest.raises(PublishFailed):
            await asyncio.wait_for(publisher.enqueue(message("k", "m")), 60)
        assert "NOT_FOUND" in str((await Readiness(publisher, topic).state()).fault)


async def test_a_topic_that_exists_makes_the_server_ready(topic: tuple[Topic, str]) -> None:
    destination, _ = topic
    assert await Readiness(Publisher(destination), destination).state() == (None, {})


async def test_a_service_that_comes_back_in_time_is_no_failure(tmp_path: Path) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    with local_server(tmp_path, port) as service:
        service.wait_for_port(address)
        client = Client(address)
        await client.publisher.create_topic(name=settings(address, "topic").topic_path)
        await client.channel.close()
        async with connected(settings(address, "topic")) as topic:
            publisher = Publisher(topic, PublishLimits(seconds=30))
            await publisher.enqueue(message("k", "before"))
            service.kill()
            readiness = Readiness(publisher, topic)

            async def fault() -> str | None:
                return (await readiness.state()).fault

            assert "UNAVAILABLE" in str(await eventually(fault))
            waiting = publisher.enqueue(message("k", "during"))
            await asyncio.sleep(0.1)
            service.start()
            await waiting
