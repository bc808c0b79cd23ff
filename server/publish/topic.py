"""The topic: one Publish call, and the check that one would succeed.

Calls use the generated stubs and plain protobuf messages. The client's own `publish` wraps every
message twice, and retries for a minute on its own.
"""

from collections.abc import Sequence
from typing import Any, Final

import grpc
from google.api_core.gapic_v1 import routing_header
from google.iam.v1 import iam_policy_pb2  # type: ignore[import-untyped]
from google.pubsub_v1 import PublisherAsyncClient, types

import schema

_MESSAGE: Final = types.PubsubMessage.pb()
_REQUEST: Final = types.PublishRequest.pb()
_PUBLISH_PERMISSION: Final = "pubsub.topics.publish"


def encode(message: schema.Message) -> Any:
    """Return the protobuf message that carries a transaction."""
    return _MESSAGE(
        data=message.data,
        attributes=message.attributes,
        ordering_key=schema.lane_name(message.lane),
    )


def mark_as_copy(message: Any) -> None:
    """Note on a protobuf message that an earlier call may have published it already."""
    message.attributes["copy"] = "possible"


def decode(message: bytes) -> Any:
    """Read a protobuf message from bytes; raises google.protobuf's DecodeError."""
    return _MESSAGE.FromString(message)


def _routed(field: str, path: str) -> tuple[tuple[str, str], ...]:
    return (routing_header.to_grpc_metadata(((field, path),)),)


class Topic:
    """One topic by way of a client's channel. Every call raises grpc.aio.AioRpcError."""

    def __init__(self, client: PublisherAsyncClient, path: str) -> None:
        self._path = path
        self._stubs: Any = client.transport
        self._metadata = _routed("topic", path)

    async def publish(self, messages: Sequence[Any], timeout: float) -> None:  # noqa: ASYNC109  # gRPC's own
        """Publish messages of one ordering key; when this returns they are durable."""
        request = _REQUEST(topic=self._path, messages=messages)
        await self._stubs.publish(request, timeout=timeout, metadata=self._metadata)

    async def check(self, timeout: float) -> None:  # noqa: ASYNC109  # gRPC's own
        """Return if the topic exists and may be published to; raise what a publish would.

        A publisher's role may publish but not read a topic. It may ask for its own permission,
        which needs none.
        """
        request = types.GetTopicRequest(topic=self._path)
        try:
            await self._stubs.get_topic(request, timeout=timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.PERMISSION_DENIED:
                raise
            if not await self._may_publish(timeout):
                raise

    async def _may_publish(self, timeout: float) -> bool:  # noqa: ASYNC109  # gRPC's own
        request = iam_policy_pb2.TestIamPermissionsRequest(
            resource=self._path, permissions=[_PUBLISH_PERMISSION]
        )
        granted = await self._stubs.test_iam_permissions(
            request, timeout=timeout, metadata=_routed("resource", self._path)
        )
        return _PUBLISH_PERMISSION in granted.permissions
