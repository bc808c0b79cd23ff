"""Topics, subscriptions and refused requests, on our server and on Google's emulator."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf import duration_pb2, field_mask_pb2
from google.pubsub_v1 import types

from tests.support.pubsub import PROJECT, Client

ONCE: dict[str, Any] = {"retry": None, "timeout": 10}
NO_TOPIC = f"{PROJECT}/topics/nowhere"
NO_SUBSCRIPTION = f"{PROJECT}/subscriptions/nowhere"


async def test_an_existing_topic_is_not_created_again(client: Client) -> None:
    topic = await client.topic()
    with pytest.raises(exceptions.AlreadyExists):
        await client.publisher.create_topic(name=topic, **ONCE)


async def test_an_existing_subscription_is_not_created_again(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    with pytest.raises(exceptions.AlreadyExists):
        await client.subscriber.create_subscription(name=subscription, topic=topic, **ONCE)


async def test_what_does_not_exist_is_not_found(client: Client) -> None:
    publisher, subscriber = client.publisher, client.subscriber
    calls = [
        publisher.get_topic(topic=NO_TOPIC, **ONCE),
        publisher.publish(topic=NO_TOPIC, messages=[types.PubsubMessage(data=b"x")], **ONCE),
        subscriber.create_subscription(name=NO_SUBSCRIPTION, topic=NO_TOPIC, **ONCE),
        subscriber.get_subscription(subscription=NO_SUBSCRIPTION, **ONCE),
        subscriber.delete_subscription(subscription=NO_SUBSCRIPTION, **ONCE),
        subscriber.pull(subscription=NO_SUBSCRIPTION, max_messages=1, **ONCE),
        subscriber.acknowledge(subscription=NO_SUBSCRIPTION, ack_ids=["1.1.1."], **ONCE),
    ]
    for call in calls:
        with pytest.raises(exceptions.NotFound):
            await call
    async with client.stream(NO_SUBSCRIPTION) as stream:
        with pytest.raises(exceptions.NotFound):
            await stream.receive(1)


@pytest.mark.parametrize("name", ["nowhere", f"{PROJECT}/topics/1st", f"{PROJECT}/topics/googly"])
async def test_a_bad_name_is_refused(client: Client, name: str) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        await client.publisher.create_topic(name=name, **ONCE)


@pytest.mark.parametrize(
    "messages",
    [[], [types.PubsubMessage()], [types.PubsubMessage(data=b"x")] * 1001],
    ids=["none", "empty", "too many"],
)
async def test_an_invalid_publish_is_refused(
    client: Client, messages: list[types.PubsubMessage]
) -> None:
    topic = await client.topic()
    with pytest.raises(exceptions.InvalidArgument):
        await client.publish_messages(topic, messages)


@pytest.mark.parametrize(
    "message",
    [
        types.PubsubMessage(data=b"x", attributes={"k" * 257: "v"}),
        types.PubsubMessage(data=b"x", attributes={"k": "v" * 1025}),
        types.PubsubMessage(data=b"x", attributes={f"k{n}": "v" for n in range(101)}),
        types.PubsubMessage(data=b"x", ordering_key="k" * 1025),
    ],
    ids=["attribute key", "attribute value", "attributes", "ordering key"],
)
@pytest.mark.emulator_differs("has no limits on attributes and keys")
async def test_a_message_over_a_limit_is_refused(
    client: Client, message: types.PubsubMessage
) -> None:
    topic = await client.topic()
    with pytest.raises(exceptions.InvalidArgument, match="too large"):
        await client.publish_messages(topic, [message])


@pytest.mark.parametrize("keys", [("a", "b"), ("a", "")], ids=["two keys", "one without"])
@pytest.mark.emulator_differs("accepts several ordering keys in one request")
async def test_a_publish_of_several_ordering_keys_is_refused(
    client: Client, keys: tuple[str, str]
) -> None:
    topic, subscription = await client.subscribed_topic()
    messages = [types.PubsubMessage(data=b"x", ordering_key=key) for key in keys]
    with pytest.raises(exceptions.FailedPrecondition, match="the same ordering key"):
        await client.publish_messages(topic, messages)
    assert await client.pull_now(subscription) == []


async def test_a_deadline_over_ten_minutes_is_refused(client: Client) -> None:
    topic = await client.topic()
    with pytest.raises(exceptions.InvalidArgument):
        await client.subscription(topic, ack_deadline_seconds=601)


async def test_defaults_are_filled_in(client: Client) -> None:
    topic = await client.topic()
    name = await client.subscription(topic, ack_deadline_seconds=0)
    found = await client.subscriber.get_subscription(subscription=name)
    assert found.topic == topic
    assert found.ack_deadline_seconds == 10
    assert found.message_retention_duration.total_seconds() == 7 * 86_400
    assert not found.enable_message_ordering


async def test_a_subscription_keeps_its_configuration(client: Client) -> None:
    topic = await client.topic()
    backoff = types.RetryPolicy(
        minimum_backoff=duration_pb2.Duration(seconds=5),
        maximum_backoff=duration_pb2.Duration(seconds=50),
    )
    name = await client.subscription(
        topic,
        ack_deadline_seconds=77,
        enable_message_ordering=True,
        retry_policy=backoff,
        labels={"team": "data"},
    )
    found = await client.subscriber.get_subscription(subscription=name)
    assert found.ack_deadline_seconds == 77
    assert found.enable_message_ordering
    assert found.retry_policy == backoff
    assert dict(found.labels) == {"team": "data"}


async def test_an_update_changes_only_the_fields_of_its_mask(client: Client) -> None:
    topic = await client.topic()
    name = await client.subscription(topic, ack_deadline_seconds=30, labels={"team": "data"})
    change = types.Subscription(name=name, ack_deadline_seconds=40, labels={"team": "none"})
    mask = field_mask_pb2.FieldMask(paths=["ack_deadline_seconds"])
    await client.subscriber.update_subscription(
        request=types.UpdateSubscriptionRequest(subscription=change, update_mask=mask)
    )
    found = await client.subscriber.get_subscription(subscription=name)
    assert found.ack_deadline_seconds == 40
    assert dict(found.labels) == {"team": "data"}


@pytest.mark.parametrize("path", ["topic", "enable_message_ordering", "no_such_field"])
async def test_an_update_of_what_cannot_change_is_refused(client: Client, path: str) -> None:
    topic = await client.topic()
    change = types.Subscription(name=await client.subscription(topic), topic=topic)
    mask = field_mask_pb2.FieldMask(paths=[path])
    with pytest.raises(exceptions.InvalidArgument):
        await client.subscriber.update_subscription(
            request=types.UpdateSubscriptionRequest(subscription=change, update_mask=mask), **ONCE
        )


async def test_deleting_a_subscription_ends_its_streams(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    async with client.stream(subscription) as stream:
        await client.publish(topic, ["x"])
        await stream.receive(1)
        await client.subscriber.delete_subscription(subscription=subscription)
        with pytest.raises(exceptions.NotFound):
            await stream.receive(2)


async def test_a_stream_with_a_lease_too_short_is_refused(client: Client) -> None:
    topic = await client.topic()
    async with client.stream(await client.subscription(topic), lease_seconds=5) as stream:
        with pytest.raises(exceptions.InvalidArgument):
            await stream.receive(1)


async def test_an_invalid_ack_id_is_refused(client: Client) -> None:
    subscription = await client.subscription(await client.topic())
    with pytest.raises(exceptions.InvalidArgument):
        await client.subscriber.acknowledge(subscription=subscription, ack_ids=["x"], **ONCE)


async def test_an_ack_id_that_was_used_is_ignored(client: Client) -> None:
    topic, subscription = await client.subscribed_topic()
    await client.publish(topic, ["x"])
    received = await client.pull(subscription, 1)
    await client.ack(subscription, received)
    await client.ack(subscription, received)
    await client.modify(subscription, received, 0)
    assert await client.pull_now(subscription) == []


@pytest.mark.parametrize(
    "config",
    [
        {"filter": 'attributes.a = "b"'},
        {"enable_exactly_once_delivery": True},
        {"dead_letter_policy": {"dead_letter_topic": NO_TOPIC}},
    ],
    ids=["filter", "exactly once", "dead-letter policy"],
)
@pytest.mark.emulator_differs("serves more methods and fields")
async def test_a_field_that_only_the_cloud_serves_is_refused_by_name(
    client: Client, config: dict[str, object]
) -> None:
    topic = await client.topic()
    with pytest.raises(exceptions.MethodNotImplemented, match=next(iter(config))):
        await client.subscription(topic, **config)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("ListTopics", lambda c: c.publisher.list_topics(project=PROJECT, **ONCE)),
        ("DeleteTopic", lambda c: c.publisher.delete_topic(topic=NO_TOPIC, **ONCE)),
        ("ListSubscriptions", lambda c: c.subscriber.list_subscriptions(project=PROJECT, **ONCE)),
        ("Seek", lambda c: c.subscriber.seek({"subscription": NO_SUBSCRIPTION}, **ONCE)),
    ],
)
@pytest.mark.emulator_differs("serves more methods and fields")
async def test_a_method_that_only_the_cloud_serves_is_refused_by_name(
    client: Client, name: str, call: Callable[[Client], Awaitable[object]]
) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match=f"does not implement {name}"):
        await call(client)
