"""Ordering keys, on our server and on Google's emulator."""

import pytest

from ops.rig import eventually
from tests.support.pubsub import Client, texts


async def test_thousands_of_one_key_come_in_order_before_any_ack(client: Client) -> None:
    topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
    expected = [str(n) for n in range(3_000)]
    await client.publish(topic, expected, key="table32")
    async with client.stream(subscription) as stream:
        assert texts(await stream.receive(3_000)) == expected
        assert stream.responses < 1_000


async def test_a_key_stays_with_its_stream_while_a_message_of_it_is_leased(client: Client) -> None:
    topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
    async with client.stream(subscription) as one, client.stream(subscription) as two:
        await client.publish(topic, ["0"], key="a")
        await eventually(lambda: one.received or two.received)
        owner, other = (one, two) if one.received else (two, one)
        for n in range(1, 20):
            await client.publish(topic, [str(n)], key="a")
            await owner.receive(n + 1)
        assert texts(owner.received) == [str(n) for n in range(20)]
        assert other.received == []


@pytest.mark.emulator_differs("has no flow control in the server")
async def test_leased_messages_of_one_key_hold_no_other_key_back(client: Client) -> None:
    topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
    async with client.stream(subscription, max_messages=2) as full:
        await client.publish(topic, ["0", "1", "2", "3"], key="a")
        await full.receive(2)
        async with client.stream(subscription) as free:
            await client.publish(topic, ["x", "y"], key="b")
            assert texts(await free.receive(2)) == ["x", "y"]
            assert texts(full.received) == ["0", "1"]


@pytest.mark.emulator_differs("a nack brings back one message only")
async def test_after_a_nack_the_later_ones_of_the_key_come_again_in_order(client: Client) -> None:
    topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
    await client.publish(topic, ["0", "1", "2", "3"], key="a")
    async with client.stream(subscription) as stream:
        received = await stream.receive(4)
        stream.nack([received[1]])
        assert texts(await stream.receive(7)) == ["0", "1", "2", "3", "1", "2", "3"]


async def test_messages_nacked_together_come_again_in_order(client: Client) -> None:
    topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
    await client.publish(topic, ["0", "1", "2", "3"], key="a")
    async with client.stream(subscription) as stream:
        received = await stream.receive(4)
        stream.ack(received[:1])
        stream.nack(received[1:])
        assert texts(await stream.receive(7)) == ["0", "1", "2", "3", "1", "2", "3"]


async def test_after_a_deadline_the_later_ones_of_the_key_come_again_in_order(
    client: Client,
) -> None:
    topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
    await client.publish(topic, ["0", "1", "2", "3"], key="a")
    async with client.stream(subscription) as stream:
        received = await stream.receive(4)
        stream.ack([received[0]])
        stream.modify([received[1]], 1)
        assert texts(await stream.receive(7)) == ["0", "1", "2", "3", "1", "2", "3"]


@pytest.mark.emulator_differs("sends messages to a cut stream for a while")
async def test_a_cut_streams_key_is_free_when_its_leases_have_ended(client: Client) -> None:
    topic, subscription = await client.subscribed_topic(enable_message_ordering=True)
    await client.publish(topic, ["0", "1"], key="a")
    async with client.stream(subscription) as cut:
        received = await cut.receive(2)
    async with client.stream(subscription) as stream:
        await client.publish(topic, ["2"], key="a")
        await client.publish(topic, ["x"], key="b")
        assert texts(await stream.receive(1)) == ["x"]
        await client.modify(subscription, received, 1)
        assert texts(await stream.receive(4)) == ["x", "0", "1", "2"]


@pytest.mark.emulator_differs("has no flow control in the server")
async def test_without_ordering_a_key_holds_nothing_back(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    await client.publish(topic, ["0", "1"], key="a")
    async with client.stream(subscription, max_messages=1) as one:
        await one.receive(1)
        async with client.stream(subscription, max_messages=1) as two:
            assert {*texts(one.received), *texts(await two.receive(1))} == {"0", "1"}
