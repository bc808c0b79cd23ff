"""Errors that a call answers: a gRPC status and a text like Google's."""

import sqlite3
from collections.abc import Awaitable, Callable

import grpc

from ops.runtime import log

logger = log.get(__name__)

type Handler[A, B] = Callable[[A, grpc.aio.ServicerContext], Awaitable[B]]


class StatusError(Exception):
    """The request cannot be served; `code` and the text go to the client."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def invalid_argument(text: str) -> StatusError:
    """Return the error for a request that can never succeed."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, text)


def unimplemented(name: str) -> StatusError:
    """Return the error for a method or field that only the cloud serves."""
    text = f"The local Pub/Sub server does not implement {name}."
    return StatusError(grpc.StatusCode.UNIMPLEMENTED, text)


def not_found(path: str) -> StatusError:
    resource = path.rpartition("/")[2]
    return StatusError(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={resource}).")


def already_exists(path: str) -> StatusError:
    resource = path.rpartition("/")[2]
    text = f"Resource already exists in the project (resource={resource})."
    return StatusError(grpc.StatusCode.ALREADY_EXISTS, text)


def with_status[A, B](handler: Handler[A, B]) -> Handler[A, B]:
    """Turn a handler's `StatusError`, or a failure of the disk, into the call's status."""

    async def answer(request: A, context: grpc.aio.ServicerContext) -> B:
        try:
            return await handler(request, context)
        except StatusError as error:
            code, text = error.code, str(error)
        except sqlite3.Error as error:
            logger.exception("storage_failed")
            code, text = grpc.StatusCode.UNAVAILABLE, f"The storage failed: {error}"
        await context.abort(code, text)
        raise AssertionError("abort raises")

    return answer
