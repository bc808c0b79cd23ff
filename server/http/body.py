"""Reads a request's body within its limits: type, encoding, size before and after, time.

The size limit bounds the memory whatever is sent: decompression stops at the first byte too many.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, NamedTuple

from aiohttp import web

from server.http import refusal
from server.http.encoding import BrokenEncoding, Decoder, UnknownEncoding, decoder
from server.http.fair_share import steps_of
from server.http.limits import IN_FLIGHT
from server.http.refusal import Refusal, RequestFault

BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive; in a batch, each line."""

REFUSALS: Final = (
    refusal.INVALID_JSON,
    refusal.REQUEST_TIMEOUT,
    refusal.PAYLOAD_TOO_LARGE,
    refusal.UNSUPPORTED,
)
"""The refusals of any route that takes a body."""

BYTES_READ: Final = web.RequestKey("bytes_read", int)
"""Bytes of the body that have arrived, before decompression."""


class BodyLimits(NamedTuple):
    """The limits of one body or, in a batch, of one line; and those of a whole batch."""

    max_bytes: int
    seconds: float
    batch_bytes: int
    batch_lines: int


BODY_LIMITS: Final = web.AppKey("body_limits", BodyLimits)


def check_type(request: web.Request, *accepted: str) -> None:
    """Refuse a Content-Type that is none of `accepted`; without `accepted`, one that is not JSON.

    It must be named: a page of any site can make a browser POST without it, or with a form's types.
    """
    given = request.headers.get("Content-Type", "")
    media_type = given.partition(";")[0].strip().lower()
    if media_type in accepted if accepted else _is_json(media_type):
        return
    expected = " or ".join(accepted) or "application/json"
    raise _unsupported("media_type", f"send Content-Type: {expected}", given)


def _is_json(media_type: str) -> bool:
    return media_type in {"application/json", "text/json"} or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )


async def read(request: web.Request) -> bytes:
    """Return the decoded body, counted as in flight until the request is answered.

    Raises Refusal: 400, 408, 413, 415, 503.
    """
    max_bytes, seconds, *_ = request.app[BODY_LIMITS]
    body_bytes = request.app[IN_FLIGHT].body_bytes
    if request.content.is_eof() and "Content-Encoding" not in request.headers:
        # All of it came with the head, as small bodies do: no timeout, no loop.
        body = request.content.read_nowait()
        request[BYTES_READ] = len(body)
        _check_size(len(body), max_bytes)
        body_bytes.add(request, len(body))
        return body
    parts = []
    try:
        async with asyncio.timeout(seconds), aclosing(stream(request, max_bytes)) as arriving:
            async for part in arriving:
                body_bytes.add(request, len(part))
                parts.append(part)
            return b"".join(parts)
    except TimeoutError:
        raise refusal.too_slow(seconds) from None


async def stream(request: web.Request, max_bytes: int) -> AsyncGenerator[bytes]:
    """Yield the decoded body in small parts as it arrives. Raises Refusal: 400, 413, 415.

    `max_bytes` holds for the bytes sent and for those decoded. The event loop gets its turn,
    also where much is decoded from what has arrived already.
    """
    decode = _decoder(request)
    _check_size(request.content_length or 0, max_bytes)
    await _send_100_continue(request)
    decoded = request[BYTES_READ] = 0
    steps = steps_of(request)
    try:
        while chunk := await request.content.readany():
            request[BYTES_READ] += len(chunk)
            _check_size(request[BYTES_READ], max_bytes)
            for part in decode.feed(chunk):
                decoded += len(part)
                _check_size(decoded, max_bytes)
                if part:
                    yield part
                await steps.next()
        decode.end()
    except BrokenEncoding as error:
        raise refusal.invalid_json(str(error), "content_encoding") from None
    except web.RequestPayloadError as error:
        why = f"the request's framing is broken: {error}"
        raise refusal.invalid_json(why, "http") from None


def _decoder(request: web.Request) -> Decoder:
    given = request.headers.get("Content-Encoding", "")
    try:
        return decoder(given)
    except UnknownEncoding as error:
        raise _unsupported("content_encoding", str(error), given) from None


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise refusal.too_large(
            f"a body holds at most {max_bytes:,} bytes, as sent and decompressed"
        )


def _unsupported(rule: str, why: str, got: str) -> Refusal:
    return Refusal(refusal.UNSUPPORTED, RequestFault(rule, why, got[:100]))


async def defer_100_continue(request: web.Request) -> None:
    """Replace aiohttp's `Expect` handler: `stream` sends 100 Continue when it reads the body."""
    del request


async def _send_100_continue(request: web.Request) -> None:
    if request.headers.get("Expect", "").lower() == "100-continue":  # RFC 9110
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # As in aiohttp's own handler: the final answer has not begun.
        request.writer.output_size = 0
