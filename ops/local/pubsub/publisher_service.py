"""google.pubsub.v1.Publisher: topics, and publishing to them."""

from typing import Any

import grpc
from google.pubsub_v1 import types

from ops.local.pubsub import request_checks
from ops.local.pubsub.broker import Broker, TopicConfig
from ops.local.pubsub.rpc_handlers import Method, unary


class PublisherService:
    """The calls of the service; each takes and returns raw protobuf messages."""

    NAME = "google.pubsub.v1.Publisher"

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def methods(self) -> dict[str, Method]:
        """Return gRPC's handlers by method name."""
        return {
            "CreateTopic": unary(self._create_topic, TopicConfig),
            "GetTopic": unary(self._get_topic, types.GetTopicRequest.pb()),
            "Publish": unary(self._publish, types.PublishRequest.pb()),
        }

    async def _create_topic(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        return (await self._broker.create_topic(request)).config

    async def _get_topic(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        return self._broker.topic(request.topic).config

    async def _publish(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Store messages; answered when they are on disk."""
        self._broker.topic(request.topic)
        request_checks.check_publish(request)
        ids = await self._broker.publish(request.topic, request.messages)
        return types.PublishResponse.pb()(message_ids=ids)
