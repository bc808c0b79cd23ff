"""gRPC handlers: one for each method that is served, and one that refuses all others."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from ops.local.pubsub.status_errors import unimplemented, with_status

type Method = grpc.RpcMethodHandler


def unary(
    handler: Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]], request: Any
) -> Method:
    """Return the handler of a method that takes one message of this class and returns one."""
    return grpc.unary_unary_rpc_method_handler(
        with_status(handler),
        request_deserializer=request.FromString,
        response_serializer=_serialize,
    )


def streaming(
    handler: Callable[[Any, grpc.aio.ServicerContext], Awaitable[None]], request: Any
) -> Method:
    """Return the handler of a method with a stream of messages in both directions."""
    return grpc.stream_stream_rpc_method_handler(
        with_status(handler),
        request_deserializer=request.FromString,
        response_serializer=_serialize,
    )


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


class Unimplemented(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Answers every other method with UNIMPLEMENTED and its name; it must be the last handler."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Method:
        name = handler_call_details.method.rpartition("/")[2]

        async def refuse(_request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
            raise unimplemented(name)

        return grpc.unary_unary_rpc_method_handler(with_status(refuse))
