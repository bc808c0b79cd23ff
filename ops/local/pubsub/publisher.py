"""google.pubsub.v1.Publisher: topics, and publishing to them."""

from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from ops.local.pubsub import rules
from ops.local.pubsub.broker import Broker, TopicConfig
from ops.local.pubsub.methods import Method, in_project, page, unary
from ops.local.pubsub.refusals import invalid

SERVICE = "google.pubsub.v1.Publisher"
_UPDATABLE = ("labels", "message_retention_duration")


class Publisher:
    """The calls of the service; each takes and returns raw protobuf messages."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def methods(self) -> dict[str, Method]:
        """Return gRPC's handlers by method name."""
        return {
            "CreateTopic": unary(self.create_topic, TopicConfig),
            "GetTopic": unary(self.get_topic, types.GetTopicRequest.pb()),
            "ListTopics": unary(self.list_topics, types.ListTopicsRequest.pb()),
            "UpdateTopic": unary(self.update_topic, types.UpdateTopicRequest.pb()),
            "DeleteTopic": unary(self.delete_topic, types.DeleteTopicRequest.pb()),
            "ListTopicSubscriptions": unary(
                self.list_topic_subscriptions, types.ListTopicSubscriptionsRequest.pb()
            ),
            "Publish": unary(self.publish, types.PublishRequest.pb()),
        }

    async def create_topic(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Create a topic."""
        return (await self._broker.create_topic(request)).config

    async def get_topic(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Return a topic."""
        return self._broker.topic(request.topic).config

    async def list_topics(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Return a page of a project's topics."""
        names = in_project(self._broker.topics, request.project)
        shown, token = page(names, request.page_size, request.page_token)
        topics = [self._broker.topics[name].config for name in shown]
        return types.ListTopicsResponse.pb()(topics=topics, next_page_token=token)

    async def update_topic(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Change a topic's labels or retention."""
        config = TopicConfig()
        config.CopyFrom(self._broker.topic(request.topic.name).config)
        for path in request.update_mask.paths:
            if path not in _UPDATABLE:
                raise invalid(
                    "Invalid update_mask provided in the UpdateTopicRequest: "
                    f"the {path} field in the Topic is unknown or not mutable."
                )
            rules.copy_field(config, request.topic, path)
        await self._broker.update_topic(config.name, config)
        return config

    async def delete_topic(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Delete a topic."""
        await self._broker.delete_topic(request.topic)
        return empty_pb2.Empty()

    async def list_topic_subscriptions(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Return a page of the names of a topic's subscriptions."""
        names = sorted(self._broker.topic(request.topic).subscriptions)
        shown, token = page(names, request.page_size, request.page_token)
        answer = types.ListTopicSubscriptionsResponse.pb()
        return answer(subscriptions=shown, next_page_token=token)

    async def publish(self, request: Any, _: grpc.aio.ServicerContext) -> Any:
        """Store messages; answered when they are on disk."""
        self._broker.topic(request.topic)
        rules.check_publish(request)
        ids = await self._broker.publish(request.topic, request.messages)
        return types.PublishResponse.pb()(message_ids=ids)
