"""The topic: one Publish call, and what each way to fail means.

Calls go through the client's channel with plain protobuf messages. The client's own `publish`
wraps every message twice, and retries by itself for a minute, which is not ours to wait.
"""

from collections.abc import Sequence
from typing import Any, Final

import grpc
from google.api_core.gapic_v1 import routing_header
from google.iam.v1 import iam_policy_pb2  # type: ignore[import-untyped]
from google.pubsub_v1 import PublisherAsyncClient, types

import schema

# https://cloud.google.com/pubsub/docs/reference/error-codes. A message may be published all the
# same where the answer is lost; it then goes out twice under one id, and the workers apply it once.
TRANSIENT: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,  # a conflict inside the service
        grpc.StatusCode.CANCELLED,  # by the far end or a proxy: ours are not seen here
        grpc.StatusCode.DEADLINE_EXCEEDED,  # no answer in time: the outcome is unknown
        grpc.StatusCode.INTERNAL,  # the service's own failure, or a broken stream
        grpc.StatusCode.RESOURCE_EXHAUSTED,  # over the quota: it comes back by the second
        grpc.StatusCode.UNAVAILABLE,  # not reachable, or restarting
        grpc.StatusCode.UNKNOWN,  # a failure that lost its code on the way
    }
)

_OUT_OF_REACH: Final = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}

_MESSAGE = types.PubsubMessage.pb()
_REQUEST = types.PublishRequest.pb()
_MESSAGES_TAG = bytes([_REQUEST.DESCRIPTOR.fields_by_name["messages"].number << 3 | 2])
"""Of a field of messages: its number, and 2 for "as long as the length says"."""
_GET = types.GetTopicRequest.pb()
_TOPIC = types.Topic.pb()
_PUBLISH_PERMISSION = "pubsub.topics.publish"


def encode(message: schema.Message) -> Any:
    """Make the protobuf message that carries a transaction."""
    return _MESSAGE(
        data=message.data,
        attributes=message.attributes,
        ordering_key=message.ordering_key,
    )


def decode(message: bytes) -> Any:
    """Read a message that was written as bytes; raises google.protobuf's DecodeError."""
    return _MESSAGE.FromString(message)


def is_transient(error: BaseException) -> bool:
    """Say whether the same call may go through in a moment."""
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in TRANSIENT


def is_busy(error: BaseException) -> bool:
    """Say whether the service is there, and the same call may go through in a moment."""
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in TRANSIENT - _OUT_OF_REACH


def is_unanswered(error: BaseException) -> bool:
    """Say whether no answer came in time, so that nobody knows what became of the call."""
    return (
        isinstance(error, grpc.aio.AioRpcError)
        and error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    )


def is_refusal(error: BaseException) -> bool:
    """Say whether the service takes offence at the request itself."""
    return (
        isinstance(error, grpc.aio.AioRpcError) and error.code() == grpc.StatusCode.INVALID_ARGUMENT
    )


def _routed(field: str, path: str) -> tuple[tuple[str, str], ...]:
    return (routing_header.to_grpc_metadata(((field, path),)),)  # type: ignore[no-untyped-call]


def _messages_field(messages: Sequence[Any]) -> bytes:
    """Write the field `messages` of a PublishRequest, each length-delimited under its tag.

    As protobuf writes it (https://protobuf.dev/programming-guides/encoding/), without the copy of
    every message that it takes to put them into a request first.
    """
    parts: list[bytes] = []
    for message in messages:
        body = message.SerializeToString()
        length = len(body)
        head = bytearray(_MESSAGES_TAG)
        while length > 0x7F:  # noqa: PLR2004  # seven bits a byte, the highest says: more
            head.append(length & 0x7F | 0x80)
            length >>= 7
        head.append(length)
        parts += (bytes(head), body)
    return b"".join(parts)


class Topic:
    """One topic by way of a client's channel. Every call raises grpc.aio.AioRpcError."""

    def __init__(self, client: PublisherAsyncClient, path: str) -> None:
        self._path = path
        channel = client.transport.grpc_channel  # type: ignore[attr-defined]
        self._publish = channel.unary_unary("/google.pubsub.v1.Publisher/Publish")
        self._head = _REQUEST(topic=path).SerializeToString()
        self._get = channel.unary_unary(
            "/google.pubsub.v1.Publisher/GetTopic",
            request_serializer=_GET.SerializeToString,
            response_deserializer=_TOPIC.FromString,
        )
        self._test_permissions = channel.unary_unary(
            "/google.iam.v1.IAMPolicy/TestIamPermissions",
            request_serializer=iam_policy_pb2.TestIamPermissionsRequest.SerializeToString,
            response_deserializer=iam_policy_pb2.TestIamPermissionsResponse.FromString,
        )
        self._metadata = _routed("topic", path)

    async def publish(self, messages: Sequence[Any], timeout: float) -> None:  # noqa: ASYNC109  # gRPC's own
        """Publish messages of one ordering key; when this returns they are durable."""
        await self._publish(
            self._head + _messages_field(messages), timeout=timeout, metadata=self._metadata
        )

    async def check(self, timeout: float) -> None:  # noqa: ASYNC109  # gRPC's own
        """Return when the topic is there and may be published to; raise what a publish would.

        A publisher's role may publish but not look at a topic; then the permission is asked for,
        which needs none.
        """
        try:
            await self._get(_GET(topic=self._path), timeout=timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.PERMISSION_DENIED:
                raise
            if not await self._may_publish(timeout):
                raise

    async def _may_publish(self, timeout: float) -> bool:  # noqa: ASYNC109  # gRPC's own
        request = iam_policy_pb2.TestIamPermissionsRequest(
            resource=self._path, permissions=[_PUBLISH_PERMISSION]
        )
        granted = await self._test_permissions(
            request, timeout=timeout, metadata=_routed("resource", self._path)
        )
        return _PUBLISH_PERMISSION in granted.permissions
