"""google.pubsub.v1.Subscriber: subscriptions, and what is pulled from them."""

import asyncio
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from ops.local.pubsub import rules
from ops.local.pubsub.broker import Broker, SubscriptionConfig
from ops.local.pubsub.leases import Consumer
from ops.local.pubsub.methods import Method, in_project, page, streaming, unary
from ops.local.pubsub.refusals import invalid, unimplemented
from ops.local.pubsub.subscription import Subscription

SERVICE = "google.pubsub.v1.Subscriber"
# How long a pull waits for a first message, and what it leaves of the client's own deadline.
_PULL_SECONDS = 20.0
_PULL_MARGIN = 0.5
_MAX_MODIFY_SECONDS = 600


class Subscriber:
    """The calls of the service; each takes and returns raw protobuf messages."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def methods(self) -> dict[str, Method]:
        """Return gRPC's handlers by method name."""
        pb = {name: getattr(types, f"{name}Request").pb() for name in _UNARY}
        handlers = {
            "CreateSubscription": unary(self.create_subscription, SubscriptionConfig),
            "StreamingPull": streaming(self.streaming_pull, types.StreamingPullRequest.pb()),
        }
        return handlers | {
            name: unary(getattr(self, handler), pb[name]) for name, handler in _UNARY.items()
        }

    # Subscriptions

    async def create_subscription(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Create a subscription."""
        return (await self._broker.create_subscription(request)).config

    async def get_subscription(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Return a subscription."""
        return self._broker.subscription(request.subscription).config

    async def list_subscriptions(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Return a page of a project's subscriptions."""
        names = in_project(self._broker.subscriptions, request.project)
        shown, token = page(names, request.page_size, request.page_token)
        configs = [self._broker.subscriptions[name].config for name in shown]
        answer = types.ListSubscriptionsResponse.pb()
        return answer(subscriptions=configs, next_page_token=token)

    async def update_subscription(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Change the fields that the mask names."""
        paths = list(request.update_mask.paths)
        return (await self._broker.update_subscription(request.subscription, paths)).config

    async def delete_subscription(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Delete a subscription with what it holds."""
        await self._broker.delete_subscription(request.subscription)
        return empty_pb2.Empty()

    async def modify_push_config(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Refuse push."""
        self._broker.subscription(request.subscription)
        raise unimplemented("The local Pub/Sub server does not implement push_config.")

    async def seek(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Settle what was published before a time; what was settled before stays so."""
        if not request.HasField("time"):
            raise unimplemented("The local Pub/Sub server seeks to a time only.")
        await self._broker.seek(request.subscription, request.time.ToMicroseconds())
        return types.SeekResponse.pb()()

    # Messages

    async def pull(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Return messages; wait for a first one, not past the client's deadline."""
        subscription = self._broker.subscription(request.subscription)
        if request.max_messages <= 0:
            raise invalid("The value for max_messages must be greater than 0.")
        left = context.time_remaining()
        patience = min(_PULL_SECONDS, _PULL_SECONDS if left is None else left - _PULL_MARGIN)
        if request.return_immediately:
            patience = 0.0
        consumer = Consumer(lease_seconds=subscription.config.ack_deadline_seconds)
        with subscription.attached(consumer):
            limit = request.max_messages
            ready = await subscription.next_messages(consumer, limit, patience)
        return types.PullResponse.pb()(received_messages=ready)

    async def acknowledge(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Settle messages; answered when that is on disk."""
        subscription = self._broker.subscription(request.subscription)
        if not request.ack_ids:
            raise invalid("No ack ids specified.")
        await subscription.ack(request.ack_ids)
        return empty_pb2.Empty()

    async def modify_ack_deadline(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Extend leases, or give messages back with 0."""
        subscription = self._broker.subscription(request.subscription)
        if not request.ack_ids:
            raise invalid("No ack ids specified.")
        seconds = request.ack_deadline_seconds
        _modify(subscription, request.ack_ids, [seconds] * len(request.ack_ids))
        return empty_pb2.Empty()

    async def streaming_pull(self, requests: Any, context: grpc.aio.ServicerContext) -> None:
        """Serve a stream until the client ends it, or its subscription ends."""
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        if not first.subscription:
            raise invalid("The first message of a stream must set subscription.")
        subscription = self._broker.subscription(first.subscription)
        rules.check_lease("stream_ack_deadline_seconds", first.stream_ack_deadline_seconds)
        consumer = Consumer(
            lease_seconds=first.stream_ack_deadline_seconds,
            max_messages=first.max_outstanding_messages,
            max_bytes=first.max_outstanding_bytes,
            client_id=first.client_id,
        )
        with subscription.attached(consumer):
            tasks = [
                asyncio.create_task(_listen(subscription, consumer, first, requests)),
                asyncio.create_task(_deliver(subscription, consumer, context)),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()


_UNARY = {
    "GetSubscription": "get_subscription",
    "ListSubscriptions": "list_subscriptions",
    "UpdateSubscription": "update_subscription",
    "DeleteSubscription": "delete_subscription",
    "ModifyPushConfig": "modify_push_config",
    "Seek": "seek",
    "Pull": "pull",
    "Acknowledge": "acknowledge",
    "ModifyAckDeadline": "modify_ack_deadline",
}


async def _listen(
    subscription: Subscription, consumer: Consumer, first: Any, requests: Any
) -> None:
    """Follow a stream's requests until the client has said its last."""
    await _follow(subscription, consumer, first)
    async for request in requests:
        if request.subscription:
            raise invalid("The subscription may only be set in a stream's first message.")
        await _follow(subscription, consumer, request)


async def _follow(subscription: Subscription, consumer: Consumer, request: Any) -> None:
    if request.stream_ack_deadline_seconds:
        rules.check_lease("stream_ack_deadline_seconds", request.stream_ack_deadline_seconds)
        consumer.lease_seconds = request.stream_ack_deadline_seconds
    if request.modify_deadline_ack_ids or request.modify_deadline_seconds:
        if len(request.modify_deadline_ack_ids) != len(request.modify_deadline_seconds):
            raise invalid("modify_deadline_ack_ids and modify_deadline_seconds differ in length.")
        _modify(subscription, request.modify_deadline_ack_ids, request.modify_deadline_seconds)
    if request.ack_ids:
        await subscription.ack(request.ack_ids)


def _modify(subscription: Subscription, ack_ids: Any, seconds: Any) -> None:
    for value in set(seconds):
        if not 0 <= value <= _MAX_MODIFY_SECONDS:
            raise invalid(f"Invalid ack deadline given: {value}. It must be between 0 and 600.")
    subscription.modify(list(zip(ack_ids, seconds, strict=True)))


async def _deliver(
    subscription: Subscription, consumer: Consumer, context: grpc.aio.ServicerContext
) -> None:
    """Write what the subscription has for a stream, for as long as there is the stream."""
    response = types.StreamingPullResponse.pb()
    while True:
        ready = await subscription.next_messages(consumer)
        await context.write(response(received_messages=ready))
