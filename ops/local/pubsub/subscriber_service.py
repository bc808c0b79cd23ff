"""google.pubsub.v1.Subscriber: subscriptions, and pulling from them."""

import asyncio
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from ops.local.pubsub import request_checks
from ops.local.pubsub.broker import Broker, SubscriptionConfig
from ops.local.pubsub.leases import Consumer
from ops.local.pubsub.live_subscription import LiveSubscription
from ops.local.pubsub.rpc_handlers import Method, streaming, unary
from ops.local.pubsub.status_errors import invalid_argument

# How long a pull waits for a first message, and its margin before the client's own deadline.
_PULL_SECONDS = 20.0
_PULL_MARGIN = 0.5
_MAX_MODIFY_SECONDS = 600


class SubscriberService:
    """The calls of the service; each takes and returns raw protobuf messages."""

    NAME = "google.pubsub.v1.Subscriber"

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def methods(self) -> dict[str, Method]:
        """Return gRPC's handlers by method name."""
        return {
            "CreateSubscription": unary(self._create, SubscriptionConfig),
            "GetSubscription": unary(self._get, types.GetSubscriptionRequest.pb()),
            "UpdateSubscription": unary(self._update, types.UpdateSubscriptionRequest.pb()),
            "DeleteSubscription": unary(self._delete, types.DeleteSubscriptionRequest.pb()),
            "Pull": unary(self._pull, types.PullRequest.pb()),
            "Acknowledge": unary(self._acknowledge, types.AcknowledgeRequest.pb()),
            "ModifyAckDeadline": unary(
                self._modify_ack_deadline, types.ModifyAckDeadlineRequest.pb()
            ),
            "StreamingPull": streaming(self._streaming_pull, types.StreamingPullRequest.pb()),
        }

    # Subscriptions

    async def _create(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        return (await self._broker.create_subscription(request)).config

    async def _get(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        return self._broker.subscription(request.subscription).config

    async def _update(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        paths = list(request.update_mask.paths)
        return (await self._broker.update_subscription(request.subscription, paths)).config

    async def _delete(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        await self._broker.delete_subscription(request.subscription)
        return empty_pb2.Empty()

    # Messages

    async def _pull(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Return messages; wait for a first one, but not past the client's deadline."""
        subscription = self._broker.subscription(request.subscription)
        if request.max_messages <= 0:
            raise invalid_argument("The value for max_messages must be greater than 0.")
        left = context.time_remaining()
        patience = min(_PULL_SECONDS, _PULL_SECONDS if left is None else left - _PULL_MARGIN)
        if request.return_immediately:
            patience = 0.0
        consumer = Consumer(lease_seconds=subscription.config.ack_deadline_seconds)
        with subscription.attached(consumer):
            limit = request.max_messages
            ready = await subscription.next_messages(consumer, limit, patience)
        return types.PullResponse.pb()(received_messages=ready)

    async def _acknowledge(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Remove messages; answered when that is on disk."""
        subscription = self._broker.subscription(request.subscription)
        if not request.ack_ids:
            raise invalid_argument("No ack ids specified.")
        await subscription.ack(request.ack_ids)
        return empty_pb2.Empty()

    async def _modify_ack_deadline(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Extend leases; 0 seconds gives the messages back."""
        subscription = self._broker.subscription(request.subscription)
        if not request.ack_ids:
            raise invalid_argument("No ack ids specified.")
        seconds = request.ack_deadline_seconds
        _modify(subscription, request.ack_ids, [seconds] * len(request.ack_ids))
        return empty_pb2.Empty()

    async def _streaming_pull(self, requests: Any, context: grpc.aio.ServicerContext) -> None:
        """Serve a stream until the client ends it, or its subscription ends."""
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        if not first.subscription:
            raise invalid_argument("The first message of a stream must set subscription.")
        subscription = self._broker.subscription(first.subscription)
        request_checks.check_lease("stream_ack_deadline_seconds", first.stream_ack_deadline_seconds)
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


async def _listen(
    subscription: LiveSubscription, consumer: Consumer, first: Any, requests: Any
) -> None:
    """Apply a stream's requests until the client ends it."""
    await _apply(subscription, consumer, first)
    async for request in requests:
        if request.subscription:
            raise invalid_argument("The subscription may only be set in a stream's first message.")
        await _apply(subscription, consumer, request)


async def _apply(subscription: LiveSubscription, consumer: Consumer, request: Any) -> None:
    if request.stream_ack_deadline_seconds:
        request_checks.check_lease(
            "stream_ack_deadline_seconds", request.stream_ack_deadline_seconds
        )
        consumer.lease_seconds = request.stream_ack_deadline_seconds
    if request.modify_deadline_ack_ids or request.modify_deadline_seconds:
        if len(request.modify_deadline_ack_ids) != len(request.modify_deadline_seconds):
            raise invalid_argument(
                "modify_deadline_ack_ids and modify_deadline_seconds differ in length."
            )
        _modify(subscription, request.modify_deadline_ack_ids, request.modify_deadline_seconds)
    if request.ack_ids:
        await subscription.ack(request.ack_ids)


def _modify(subscription: LiveSubscription, ack_ids: Any, seconds: Any) -> None:
    for value in set(seconds):
        if not 0 <= value <= _MAX_MODIFY_SECONDS:
            raise invalid_argument(
                f"Invalid ack deadline given: {value}. It must be between 0 and 600."
            )
    subscription.modify(list(zip(ack_ids, seconds, strict=True)))


async def _deliver(
    subscription: LiveSubscription, consumer: Consumer, context: grpc.aio.ServicerContext
) -> None:
    """Write messages to a stream until it is cancelled."""
    response = types.StreamingPullResponse.pb()
    while True:
        ready = await subscription.next_messages(consumer)
        await context.write(response(received_messages=ready))
