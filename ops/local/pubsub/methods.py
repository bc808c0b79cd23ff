"""How a method of a service becomes a handler of gRPC's, and how lists are paged."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import grpc

from ops.local.pubsub.refusals import answering, invalid

type Method = grpc.RpcMethodHandler

_MAX_PAGE = 1_000


def unary(
    handler: Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]], request: Any
) -> Method:
    """Return the handler of a method that takes one message of this class and answers one."""
    return grpc.unary_unary_rpc_method_handler(
        answering(handler),
        request_deserializer=request.FromString,
        response_serializer=_serialize,
    )


def streaming(
    handler: Callable[[Any, grpc.aio.ServicerContext], Awaitable[None]], request: Any
) -> Method:
    """Return the handler of a method with a stream of messages either way."""
    return grpc.stream_stream_rpc_method_handler(
        answering(handler),
        request_deserializer=request.FromString,
        response_serializer=_serialize,
    )


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def in_project(paths: Iterable[str], project: str) -> list[str]:
    """Return the sorted paths that belong to `projects/{project}`."""
    return sorted(path for path in paths if path.startswith(f"{project}/"))


def page(names: Sequence[str], size: int, token: str) -> tuple[Sequence[str], str]:
    """Return the names after `token`, at most `size`, and the token of the next page."""
    if size < 0:
        raise invalid(f"Invalid page_size given: {size}.")
    left = [name for name in names if name > token]
    shown = left[: min(size or _MAX_PAGE, _MAX_PAGE)]
    return shown, shown[-1] if len(shown) < len(left) else ""
