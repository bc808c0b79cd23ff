"""A Pub/Sub client behind the proxy: it does not notice it, and gets each fault as documented."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import grpc
import pytest
from google.api_core import exceptions
from google.pubsub_v1 import types

from ops.rig import eventually, free_port
from ops.rig.pubsub_proxy import PubSubProxy
from tests.support.pubsub import Client, Stream, local_server, texts

STATUSES = {
    "exhausted": exceptions.ResourceExhausted,
    "internal": exceptions.InternalServerError,
    "unavailable": exceptions.ServiceUnavailable,
}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    address = f"127.0.0.1:{free_port()}"
    server = local_server(tmp_path_factory.mktemp("pubsub"), int(address.rpartition(":")[2]))
    with server:
        server.wait_for_port(address)
        yield address


@dataclass
class ProxiedPubSub:
    """A client of the proxy, one of the service, and a subscription of one topic."""

    proxy: PubSubProxy
    client: Client
    direct: Client
    topic: str
    subscription: str

    async def passes(self) -> None:
        """Fail unless a publish and a pull go through, as soon as the channel has connected."""
        await eventually(self._published)
        (received,) = await self.client.pull(self.subscription, 1)
        await self.client.ack(self.subscription, [received])

    async def _published(self) -> bool:
        try:
            await self.client.publish(self.topic, ["after"])
        except exceptions.ServiceUnavailable:
            return False
        return True

    async def fails(self, *errors: type[Exception]) -> Exception:
        """Publish until that fails in one of these ways; return how."""
        for _ in range(200):
            try:
                await self.client.publish(self.topic, ["x"])
            except errors as error:
                return error
        raise AssertionError("200 calls passed")


@pytest.fixture
async def scene(upstream: str) -> AsyncIterator[ProxiedPubSub]:
    address = f"127.0.0.1:{free_port()}"
    proxy = PubSubProxy(address, upstream)
    await proxy.start()
    client, direct = Client(address), Client(upstream)
    topic = await direct.topic()
    subscription = await direct.subscription(topic, enable_message_ordering=True)
    yield ProxiedPubSub(proxy, client, direct, topic, subscription)
    await client.channel.close()
    await direct.channel.close()
    await proxy.stop()


async def ended(stream: Stream) -> Exception:
    await eventually(lambda: stream.error is not None)
    assert stream.error is not None
    return stream.error


async def test_without_a_fault_thousands_of_messages_pass_untouched(scene: ProxiedPubSub) -> None:
    sent = [f"{n} " + "é" * (n % 700) for n in range(5_000)]
    async with scene.client.stream(scene.subscription) as stream:
        ids = await scene.client.publish(scene.topic, sent, key="k")
        received = await stream.receive(len(sent))
        stream.ack(received)
    assert texts(received) == sent
    assert [m.message.message_id for m in received] == ids
    assert {m.message.ordering_key for m in received} == {"k"}
    assert await scene.direct.pull_now(scene.subscription) == []
    assert not scene.proxy.hits


async def test_an_error_of_the_service_passes_unchanged(scene: ProxiedPubSub) -> None:
    with pytest.raises(exceptions.NotFound) as through:
        await scene.client.publish("projects/p/topics/none", ["x"])
    with pytest.raises(exceptions.NotFound) as direct:
        await scene.direct.publish("projects/p/topics/none", ["x"])
    assert through.value.message == direct.value.message


async def test_the_largest_request_passes(scene: ProxiedPubSub) -> None:
    data = b"x" * 9_900_000
    await scene.client.publish_messages(scene.topic, [types.PubsubMessage(data=data)])
    (received,) = await scene.client.pull(scene.subscription, 1)
    await scene.client.ack(scene.subscription, [received])
    assert received.message.data == data


async def test_a_deadline_reaches_the_service(scene: ProxiedPubSub) -> None:
    request = types.PullRequest(subscription=scene.subscription, max_messages=1)
    answer = await scene.client.subscriber.transport.pull(request, timeout=0.6)  # type: ignore[call-arg]
    assert not answer.received_messages  # ours ends an empty pull just before the deadline


@pytest.mark.parametrize("name", STATUSES)
async def test_a_status_fails_some_calls_and_ends_the_stream(
    scene: ProxiedPubSub, name: str
) -> None:
    async with scene.client.stream(scene.subscription) as stream:
        await scene.client.publish(scene.topic, ["first"])
        stream.ack(await stream.receive(1))
        async with scene.proxy.injected(name):
            assert isinstance(await ended(stream), STATUSES[name])
            await scene.fails(STATUSES[name])
    assert scene.proxy.hits[name] >= 2
    await eventually(lambda: scene.proxy._open == set())


async def test_a_refused_connection_is_accepted_again_afterwards(scene: ProxiedPubSub) -> None:
    await scene.passes()
    address = scene.proxy.front.address
    async with scene.proxy.injected("refuse"):
        await scene.fails(exceptions.ServiceUnavailable)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
    await scene.passes()
    assert scene.proxy.hits["refuse"] >= 1


async def test_connections_are_reset_repeatedly(scene: ProxiedPubSub) -> None:
    async with scene.proxy.injected("reset"):
        for cut in (1, 2):
            async with scene.client.stream(scene.subscription) as stream:
                assert isinstance(await ended(stream), exceptions.ServiceUnavailable)
            assert scene.proxy.hits["reset"] >= cut
    await scene.passes()


async def test_a_lost_answer_leaves_its_call_done(scene: ProxiedPubSub) -> None:
    sent = 0
    async with scene.proxy.injected("lose_answer"):
        while scene.proxy.hits["lose_answer"] == 0:
            sent += 1
            try:
                await scene.client.publish(scene.topic, [str(sent)])
            except exceptions.ServiceUnavailable:
                break
    assert len(await scene.direct.pull(scene.subscription, sent)) == sent


async def test_a_delay_only_delays(scene: ProxiedPubSub) -> None:
    async with scene.proxy.injected("delay"), scene.client.stream(scene.subscription) as stream:
        started = asyncio.get_running_loop().time()
        for n in range(5):
            await scene.client.publish(scene.topic, [str(n)], key="k")
        assert texts(await stream.receive(5)) == list("01234")
        assert asyncio.get_running_loop().time() - started > 0.05
        stream.ack(stream.received)
    assert scene.proxy.hits["delay"] >= 6


async def test_a_duplicate_is_a_redelivery_in_order(scene: ProxiedPubSub) -> None:
    async with scene.proxy.injected("duplicate"), scene.client.stream(scene.subscription) as stream:
        sent = 0
        while scene.proxy.hits["duplicate"] == 0:
            await scene.client.publish(scene.topic, [f"{sent}", f"{sent + 1}"], key="k")
            sent += 2
            await stream.receive(sent)
        received = await stream.receive(sent + 1)
        assert len({m.ack_id for m in received}) == len(received)
        assert list(dict.fromkeys(texts(received))) == [str(n) for n in range(sent)]
        copies = [m for m in received if m.ack_id.startswith("again!")]
        rest = [m for m in received if m.message.message_id not in _ids(copies)]
        await scene.client.modify(scene.subscription, copies, 60)
        await scene.client.ack(scene.subscription, copies)
        if rest:
            stream.ack(rest)

    async def settled() -> bool:
        return await scene.direct.pull_now(scene.subscription) == []

    await eventually(settled)


def _ids(messages: list[types.ReceivedMessage]) -> set[str]:
    return {m.message.message_id for m in messages}


async def test_a_message_is_delivered_to_two_machines_in_the_order_of_its_key(
    upstream: str, scene: ProxiedPubSub
) -> None:
    held = scene.proxy._held
    second = PubSubProxy(f"127.0.0.1:{free_port()}", upstream, held)
    await second.start()
    other = Client("{}:{}".format(*second.front.address))
    async with scene.client.stream(scene.subscription) as near:
        await scene.client.publish(scene.topic, ["0", "1"], key="k")
        await near.receive(2)
        async with other.stream(scene.subscription) as far:
            await eventually(lambda: len(held._streams) == 2)
            async with scene.proxy.injected("deliver_to_two"):
                await scene.client.publish(scene.topic, ["2", "3"], key="k")
                assert texts(await near.receive(4)) == list("0123")
                copies = await far.receive(4)
                assert texts(copies) == list("0123")  # also what was delivered before the fault
            await scene.client.publish(scene.topic, ["4"], key="k")
            await near.receive(5)
            assert len(far.received) == 4
            await other.modify(scene.subscription, copies, 0)  # their leases are not Pub/Sub's
            await other.ack(scene.subscription, copies)
            await scene.client.ack(scene.subscription, near.received[4:])
    assert scene.proxy.hits["deliver_to_two"] == 4

    async def settled() -> bool:
        return await scene.direct.pull_now(scene.subscription) == []

    await eventually(settled)
    await other.channel.close()
    await second.stop()


async def test_only_messages_without_a_common_key_are_reordered(scene: ProxiedPubSub) -> None:
    plain = [types.PubsubMessage(data=f"- {n}".encode()) for n in range(300)]
    await scene.direct.publish_messages(scene.topic, plain)
    for key in "abc":
        await scene.direct.publish(scene.topic, [f"{key} {n}" for n in range(300)], key=key)
    async with scene.proxy.injected("reorder"), scene.client.stream(scene.subscription) as stream:
        received = texts(await stream.receive(1_200))
        stream.ack(stream.received)
    assert len(set(received)) == 1_200
    for key in "abc":
        assert [x for x in received if x[0] == key] == [f"{key} {n}" for n in range(300)]
    unkeyed = [x for x in received if x[0] == "-"]
    assert unkeyed != sorted(unkeyed, key=lambda x: int(x[2:]))
    assert scene.proxy.hits["reorder"] >= 1


async def test_a_service_that_is_gone_is_unavailable_not_a_hanging_call(
    scene: ProxiedPubSub,
) -> None:
    proxy = PubSubProxy(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    await proxy.start()
    client = Client(f"{proxy.front.address[0]}:{proxy.front.address[1]}")
    with pytest.raises(exceptions.ServiceUnavailable):
        await client.publish(scene.topic, ["x"])
    await client.channel.close()
    await proxy.stop()


async def test_an_unknown_fault_is_named(scene: ProxiedPubSub) -> None:
    with pytest.raises(ValueError, match="locusts"):
        await scene.proxy.inject("locusts", 1)
    assert isinstance(scene.client.channel, grpc.aio.Channel)
