"""Our server across `kill -9` and restarts; how it starts, stops, and fails to start."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.protobuf import struct_pb2, wrappers_pb2

from ops.rig import Service, eventually, free_port
from tests.support.pubsub import Client, local_server, texts


class RestartedPubSub:
    """Our server on one port and one database, through restarts."""

    def __init__(self, directory: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.service = local_server(directory, int(self.address.rpartition(":")[2]))

    def up(self) -> None:
        self.service.start()
        self.service.wait_for_port(self.address)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        client = Client(self.address)
        yield client
        await client.channel.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestartedPubSub]:
    server = RestartedPubSub(tmp_path / "pubsub")
    with server.service:
        server.service.wait_for_port(server.address)
        yield server


async def test_every_confirmed_message_survives_kill_9(server: RestartedPubSub) -> None:
    async with server.client() as client:
        topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
        confirmed: list[str] = []

        async def publish_on(worker: int) -> None:
            for n in range(10_000):
                name = f"{worker}-{n}"
                await client.publish(topic, [name], key=str(worker))
                confirmed.append(name)

        publishing = asyncio.gather(*(publish_on(n) for n in range(8)), return_exceptions=True)
        await eventually(lambda: len(confirmed) > 500)
        server.service.kill()
        await publishing
    server.up()
    async with server.client() as client, client.stream(subscription) as stream:
        await stream.receive(len(confirmed))
        received = texts(stream.received)
        assert set(confirmed) <= set(received)
        for worker in range(8):
            own = [int(x.partition("-")[2]) for x in received if x.startswith(f"{worker}-")]
            assert own == list(range(len(own)))


async def test_acked_messages_stay_away_after_kill_9(server: RestartedPubSub) -> None:
    async with server.client() as client:
        topic, subscription = await client.subscribed_topic()
        await client.publish(topic, [str(n) for n in range(200)])
        received = await client.pull(subscription, 200)
        await client.ack(subscription, received[:120])
        server.service.kill()
    server.up()
    async with server.client() as client:
        again = await client.pull(subscription, 80)
        assert sorted(texts(again)) == sorted(texts(received[120:]))
        assert await client.pull_now(subscription) == []


async def test_topics_subscriptions_and_message_ids_survive_a_restart(
    server: RestartedPubSub,
) -> None:
    async with server.client() as client:
        topic, subscription = await client.subscribed_topic(ack_deadline_seconds=33)
        deleted = await client.subscription(topic)
        await client.subscriber.delete_subscription(subscription=deleted)
        before = await client.publish(topic, ["x"])
        await client.ack(subscription, await client.pull(subscription, 1))
    assert server.service.stop() == 0
    server.up()
    async with server.client() as client:
        found = await client.subscriber.get_subscription(subscription=subscription)
        assert found.ack_deadline_seconds == 33
        with pytest.raises(exceptions.NotFound):
            await client.subscriber.get_subscription(subscription=deleted)
        assert int((await client.publish(topic, ["y"]))[0]) > int(before[0])
        assert texts(await client.pull(subscription, 1)) == ["y"]


async def test_an_ack_id_from_before_a_restart_still_counts(server: RestartedPubSub) -> None:
    async with server.client() as client:
        topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
        await client.publish(topic, ["keyed"], key="a.b")
        await client.publish(topic, ["plain"])
        received = await client.pull(subscription, 2)
        server.service.kill()
    server.up()
    async with server.client() as client:
        await client.ack(subscription, received)
        assert await client.pull_now(subscription) == []


async def test_the_backlog_has_the_number_of_messages_and_the_oldest_age(
    server: RestartedPubSub,
) -> None:
    async with server.client() as client:
        topic, subscription = await client.subscribed_topic()
        get = client.channel.unary_unary(
            "/gatekeeper.local.v1.Backlog/Get",
            request_serializer=wrappers_pb2.StringValue.SerializeToString,
            response_deserializer=struct_pb2.Struct.FromString,
        )
        request = wrappers_pb2.StringValue(value=subscription)
        assert dict(await get(request)) == {"unacked": 0, "oldest_age_seconds": 0}
        await client.publish(topic, ["x", "y"])
        received = await client.pull(subscription, 2)
        backlog = dict(await get(request))
        assert backlog["unacked"] == 2
        assert 0 < backlog["oldest_age_seconds"] < 60
        await client.ack(subscription, received[:1])
        assert dict(await get(request))["unacked"] == 1


async def test_sigterm_ends_it_with_open_streams(server: RestartedPubSub) -> None:
    async with server.client() as client:
        topic, subscription = await client.subscribed_topic()
        async with client.stream(subscription) as stream:
            await client.publish(topic, ["x"])
            await stream.receive(1)
            server.service.signal(signal.SIGTERM)
            with pytest.raises(exceptions.ServiceUnavailable):
                await stream.receive(2)
    assert server.service.wait() == 0


def test_a_taken_port_is_named_in_one_line(server: RestartedPubSub, tmp_path: Path) -> None:
    port = server.address.rpartition(":")[2]
    with local_server(tmp_path / "other", int(port)) as second:
        assert second.wait() == 1
        (line,) = [x for x in second.output.splitlines() if not x.startswith("{")]
    assert port in line


def test_a_state_directory_has_one_server(server: RestartedPubSub, tmp_path: Path) -> None:
    del server
    with local_server(tmp_path / "pubsub", free_port()) as second:
        assert second.wait() == 1
        assert str(tmp_path / "pubsub") in second.output


def test_in_the_cloud_it_prints_one_line_and_exits() -> None:
    cloud = {"DATASET_ID": "d", "TOPIC_ID": "transactions", "SUBSCRIPTION_ID": "workers"}
    with Service.module("ops.local.pubsub", PROJECT_ID="some-project", **cloud) as service:
        assert service.wait() == 0
        assert len(service.output.splitlines()) == 1
        assert "not needed" in service.output
