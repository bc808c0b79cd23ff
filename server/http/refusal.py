"""Refusals: how a request ends without success. The API turns them into answers."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from aiohttp import web

import schema


class ResponseKind(NamedTuple):
    """A status and message that an answer can have; `headers` are those that only it has."""

    status: int
    message: str
    when: str
    headers: tuple[str, ...] = ()


INVALID_JSON: Final = ResponseKind(400, "Invalid JSON", "The body is not JSON, or not UTF-8.")
BAD_REQUEST: Final = ResponseKind(400, "Bad Request", "The request is not valid HTTP.")
UNAUTHORIZED: Final = ResponseKind(
    401, "Unauthorized", "The API key is missing or wrong.", ("WWW-Authenticate",)
)
FORBIDDEN: Final = ResponseKind(
    403, "Forbidden", "The API key may not do this, or the Host or the origin is foreign."
)
NOT_FOUND: Final = ResponseKind(404, "Not Found", "It does not exist, or not yet.")
METHOD_NOT_ALLOWED: Final = ResponseKind(
    405, "Method Not Allowed", "The route takes other methods.", ("Allow",)
)
REQUEST_TIMEOUT: Final = ResponseKind(408, "Request Timeout", "The body did not arrive in time.")
IDEMPOTENCY_CONFLICT: Final = ResponseKind(
    409,
    "Idempotency Conflict",
    "The Idempotency-Key came with another body within IDEMPOTENCY_HOURS.",
)
PAYLOAD_TOO_LARGE: Final = ResponseKind(
    413, "Payload Too Large", "The body has too many bytes, as sent or decompressed."
)
UNSUPPORTED: Final = ResponseKind(
    415, "Unsupported Media Type", "The route takes another Content-Type or Content-Encoding."
)
TOO_MANY: Final = ResponseKind(
    429, "Too Many Requests", "The API key's rate is exceeded; send it later.", ("Retry-After",)
)
CLIENT_GONE: Final = ResponseKind(
    499, "Client Closed Request", "For the log and the metrics: the client left before its answer."
)
INTERNAL: Final = ResponseKind(
    500, "Internal Server Error", "The server failed; send again with an Idempotency-Key."
)
UNAVAILABLE: Final = ResponseKind(
    503, "Unavailable", "Not durably accepted, or not in time; send it again.", ("Retry-After",)
)


class RequestFault(NamedTuple):
    """A fault of the request, in the shape of a payload's; its pointer names the whole request."""

    rule: str
    message: str
    got: Any = None
    pointer: str = ""


class Refusal(Exception):
    """Ends a request. `payload` is the JSON to repeat; a `_` in a header's name is a `-`.

    `close` ends the connection too: what follows on it cannot be trusted.
    """

    def __init__(
        self,
        kind: ResponseKind,
        *faults: RequestFault | schema.Fault,
        payload: bytes = b"null",
        close: bool = False,
        **headers: str,
    ) -> None:
        super().__init__(kind.message)
        self.kind = kind
        self.faults = faults
        self.payload = payload
        self.close = close
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}


RENDER_REFUSAL: Final = web.AppKey[Callable[[Refusal], web.Response]]("render_refusal")


def invalid_json(why: str, rule: str = "json") -> Refusal:
    return Refusal(INVALID_JSON, RequestFault(rule, why))


def too_large(why: str) -> Refusal:
    return Refusal(PAYLOAD_TOO_LARGE, RequestFault("body_size", why))


def too_slow(seconds: float) -> Refusal:
    why = f"the body was not complete after {seconds:g} s: send it again, faster or in parts"
    return Refusal(REQUEST_TIMEOUT, RequestFault("body_time", why))


def unavailable(why: str, retry_after: int) -> Refusal:
    """Nothing was durably accepted; the client should send it again in `retry_after` seconds."""
    return Refusal(UNAVAILABLE, RequestFault("unavailable", why), Retry_After=str(retry_after))
