"""The refusal of a request: a status of gRPC's and a text like Google's, in one exception."""

import sqlite3
from collections.abc import Awaitable, Callable

import grpc

from ops.runtime import log

logger = log.get(__name__)

type Handler[A, B] = Callable[[A, grpc.aio.ServicerContext], Awaitable[B]]


class Refused(Exception):
    """The request cannot be served; `code` and the text go to the client."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def invalid(text: str) -> Refused:
    """Return the refusal of a request that can never succeed."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, text)


def unimplemented(text: str) -> Refused:
    """Return the refusal of what only the cloud offers."""
    return Refused(grpc.StatusCode.UNIMPLEMENTED, text)


def not_found(path: str) -> Refused:
    """Return the refusal for a resource that does not exist."""
    resource = path.rpartition("/")[2]
    return Refused(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={resource}).")


def already_exists(path: str) -> Refused:
    """Return the refusal for a resource that exists."""
    resource = path.rpartition("/")[2]
    text = f"Resource already exists in the project (resource={resource})."
    return Refused(grpc.StatusCode.ALREADY_EXISTS, text)


def answering[A, B](handler: Handler[A, B]) -> Handler[A, B]:
    """Turn a handler's `Refused`, or a failure of the disk, into the call's status."""

    async def answer(request: A, context: grpc.aio.ServicerContext) -> B:
        try:
            return await handler(request, context)
        except Refused as refused:
            code, text = refused.code, str(refused)
        except sqlite3.Error as error:
            logger.exception("storage_failed")
            code, text = grpc.StatusCode.UNAVAILABLE, f"The storage failed: {error}"
        await context.abort(code, text)
        raise AssertionError("abort raises")

    return answer
