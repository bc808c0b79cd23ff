"""Publishing, pulling, acknowledging and nacking, on our server and on Google's emulator."""

import time

import pytest
from google.api_core import exceptions
from google.protobuf import duration_pb2
from google.pubsub_v1 import types

from ops.rig import eventually
from tests.support.pubsub import Client, texts


async def test_a_published_message_comes_once_and_whole(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    data = bytes(range(256)) * 8
    attributes = {"id": "a-1", "größe": "ä€😀", "empty": ""}
    sent = types.PubsubMessage(data=data, attributes=attributes, ordering_key="table32")
    answer = await client.publish_messages(topic, [sent])
    (received,) = await client.pull(subscription, 1)
    assert received.message.data == data
    assert dict(received.message.attributes) == attributes
    assert received.message.ordering_key == "table32"
    assert [received.message.message_id] == list(answer.message_ids)
    assert abs(received.message.publish_time.timestamp() - time.time()) < 60
    await client.ack(subscription, [received])
    assert await client.pull_now(subscription) == []


async def test_a_message_may_have_attributes_alone(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    await client.publish_messages(topic, [types.PubsubMessage(attributes={"only": "this"})])
    (received,) = await client.pull(subscription, 1)
    assert received.message.data == b""
    assert dict(received.message.attributes) == {"only": "this"}


async def test_message_ids_are_unique_and_in_the_order_of_the_request(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    ids = await client.publish(topic, [str(n) for n in range(100)])
    received = await client.pull(subscription, 100)
    assert len(set(ids)) == 100
    assert {x.message.message_id: x.message.data for x in received} == {
        message_id: str(n).encode() for n, message_id in enumerate(ids)
    }


async def test_each_subscription_gets_every_message_of_its_topic_alone(client: Client) -> None:
    here, there = await client.topic(), await client.topic()
    first, second = await client.subscription(here), await client.subscription(here)
    other = await client.subscription(there)
    await client.publish(here, ["here"])
    await client.publish(there, ["there"])
    for subscription, expected in ((first, "here"), (second, "here"), (other, "there")):
        received = await client.pull(subscription, 1)
        assert texts(received) == [expected]
        await client.ack(subscription, received)
        assert await client.pull_now(subscription) == []


async def test_a_subscription_gets_nothing_published_before_it(client: Client) -> None:
    topic = await client.topic()
    await client.publish(topic, ["before"])
    subscription = await client.subscription(topic)
    await client.publish(topic, ["after"])
    assert texts(await client.pull(subscription, 1)) == ["after"]


async def test_a_message_comes_again_after_its_deadline(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    await client.publish(topic, ["again"])
    first = await client.pull(subscription, 1)
    await client.modify(subscription, first, 1)
    second = await client.pull(subscription, 1)
    assert texts(second) == ["again"]
    assert second[0].message.message_id == first[0].message.message_id


async def test_a_nack_brings_the_message_again_immediately(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    await client.publish(topic, ["again"])
    async with client.stream(subscription) as stream:
        stream.nack(await stream.receive(1))
        assert texts(await stream.receive(2)) == ["again", "again"]
        stream.ack(stream.received[1:])

        async def is_empty() -> bool:
            return await client.pull_now(subscription) == []

        await eventually(is_empty)


async def test_an_extended_deadline_keeps_a_message_from_coming_again(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    await client.publish(topic, ["extended", "expired"])
    async with client.stream(subscription) as stream:
        received = {x.message.data: x for x in await stream.receive(2)}
        stream.modify([received[b"extended"]], 1)
        stream.modify([received[b"extended"]], 60)
        stream.modify([received[b"expired"]], 1)
        assert texts((await stream.receive(3))[2:]) == ["expired"]


@pytest.mark.emulator_differs("has no flow control in the server")
async def test_no_more_messages_are_leased_than_flow_control_allows(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    async with client.stream(subscription, max_messages=3) as stream:
        await client.publish(topic, [str(n) for n in range(10)])
        await stream.receive(3)
        # Another stream gets messages immediately, so the first stream was offered them too.
        async with client.stream(subscription) as other:
            await other.receive(7)
            assert len(stream.received) == 3
            await client.publish(topic, ["more"] * 4)
            await other.receive(11)
        assert len(stream.received) == 3


@pytest.mark.emulator_differs("has no flow control in the server")
async def test_an_ack_makes_room_for_the_next_message(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    await client.publish(topic, [str(n) for n in range(10)])
    async with client.stream(subscription, max_messages=3) as stream:
        acked = 0
        while acked < 10:
            received = await stream.receive(acked + 1)
            assert len(received) - acked <= 3
            stream.ack(received[acked:])
            acked = len(received)
        assert sorted(texts(stream.received)) == sorted(str(n) for n in range(10))


@pytest.mark.emulator_differs("has no flow control in the server")
async def test_flow_control_counts_bytes(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    await client.publish(topic, ["x" * 1000] * 10)
    async with client.stream(subscription, max_bytes=2_500) as stream:
        await stream.receive(2)
        async with client.stream(subscription) as other:
            await other.receive(10 - 3)
            assert len(stream.received) <= 3


async def test_two_streams_share_the_messages(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    async with client.stream(subscription) as one, client.stream(subscription) as two:

        async def both_have_some() -> bool:
            await client.publish(topic, ["x"] * 10)
            return bool(one.received) and bool(two.received)

        await eventually(both_have_some)


@pytest.mark.emulator_differs("sends messages to a cut stream for a while")
async def test_a_cut_streams_messages_come_again_after_their_deadline(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    await client.publish(topic, ["left"])
    async with client.stream(subscription) as cut:
        received = await cut.receive(1)
    await client.modify(subscription, received, 1)
    async with client.stream(subscription) as stream:
        assert texts(await stream.receive(1)) == ["left"]


@pytest.mark.emulator_differs("redelivers without backoff")
async def test_a_late_ack_still_counts_while_nobody_has_the_message(client: Client) -> None:
    topic = await client.topic()
    backoff = types.RetryPolicy(
        minimum_backoff=duration_pb2.Duration(seconds=3),
        maximum_backoff=duration_pb2.Duration(seconds=3),
    )
    subscription = await client.subscription(topic, retry_policy=backoff)
    await client.publish(topic, ["late", "other"])
    received = {x.message.data: x for x in await client.pull(subscription, 2)}
    await client.modify(subscription, received.values(), 0)
    await client.ack(subscription, [received[b"late"]])
    assert texts(await client.pull(subscription, 1)) == ["other"]
    assert await client.pull_now(subscription) == []


@pytest.mark.emulator_differs("redelivers without backoff")
async def test_the_retry_policy_delays_the_redelivery(client: Client) -> None:
    topic = await client.topic()
    backoff = types.RetryPolicy(
        minimum_backoff=duration_pb2.Duration(seconds=1),
        maximum_backoff=duration_pb2.Duration(seconds=2),
    )
    subscription = await client.subscription(topic, retry_policy=backoff)
    await client.publish(topic, ["slowly"])
    async with client.stream(subscription) as stream:
        first = await stream.receive(1)
        start = time.monotonic()
        stream.nack(first)
        second = (await stream.receive(2))[1:]
        assert time.monotonic() - start > 0.8
        start = time.monotonic()
        stream.nack(second)
        await stream.receive(3)
        assert time.monotonic() - start > 1.6


async def test_delivery_attempts_are_not_counted(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    await client.publish(topic, ["x"])
    async with client.stream(subscription) as stream:
        stream.nack(await stream.receive(1))
        assert [x.delivery_attempt for x in await stream.receive(2)] == [0, 0]


@pytest.mark.emulator_differs("stops answering after a request over 10 MB")
async def test_ten_megabytes_are_too_much_for_a_request(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    with pytest.raises(exceptions.InvalidArgument, match="maximum value is 10000000"):
        await client.publish(topic, ["x" * 10_000_000])
    await client.publish(topic, ["x" * 9_999_000])
    (received,) = await client.pull(subscription, 1)
    assert len(received.message.data) == 9_999_000
