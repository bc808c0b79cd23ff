"""Reads a request's body within its limits: type, encoding, size before and after, time.

Memory is bounded by the limit whatever is sent: decompression stops at the first byte too many.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from aiohttp import web

from server.api import responses as kinds
from server.api import verdict
from server.api.verdict import Refused
from server.http.encoding import BrokenEncoding, Decoder, UnknownEncoding, decoder
from server.http.limits import BUDGET

BODY_SECONDS = 30.0
"""How long a body may take to arrive, all of it; of a batch, each line."""

REFUSALS: Final = (
    kinds.INVALID_JSON,
    kinds.REQUEST_TIMEOUT,
    kinds.PAYLOAD_TOO_LARGE,
    kinds.UNSUPPORTED,
)
"""What any body may be refused with."""

BYTES_READ: Final = web.RequestKey("bytes_read", int)
"""How many bytes of the body have come over the wire."""


def check_type(request: web.Request, *accepted: str) -> None:
    """Refuse what its Content-Type says is none of `accepted`, or not JSON when nothing is named.

    No Content-Type at all counts as the right one: the first Gatekeeper's clients may send none.
    """
    given = request.headers.get("Content-Type")
    if not given:
        return
    kind = given.partition(";")[0].strip().lower()
    if kind in accepted if accepted else _is_json(kind):
        return
    expected = " or ".join(accepted) or "application/json"
    raise Refused(verdict.unsupported("media_type", f"send Content-Type: {expected}", given[:100]))


def _is_json(kind: str) -> bool:
    return kind in {"application/json", "text/json"} or (
        kind.startswith("application/") and kind.endswith("+json")
    )


async def read(request: web.Request, limit: int) -> bytes:
    """Return the decoded body of at most `limit` bytes; raises Refused for 400, 408, 413, 415, 503.

    Its bytes count against the budget until the request is answered.
    """
    budget = request.app[BUDGET]
    if request.content.is_eof() and "Content-Encoding" not in request.headers:
        # All of it came with the head, as small bodies do: no clock, no loop.
        body = request.content.read_nowait()
        request[BYTES_READ] = len(body)
        if len(body) > limit:
            raise _too_large(limit)
        budget.take(request, len(body))
        return body
    parts = []
    try:
        async with asyncio.timeout(BODY_SECONDS), aclosing(stream(request, limit)) as stream_:
            async for part in stream_:
                budget.take(request, len(part))
                parts.append(part)
            return b"".join(parts)
    except TimeoutError:
        raise Refused(verdict.too_slow(BODY_SECONDS)) from None


async def stream(request: web.Request, limit: int | None = None) -> AsyncGenerator[bytes]:
    """Yield the decoded body in small parts as it arrives; raises Refused for 400, 413 and 415.

    `limit` holds for the bytes sent and for those decoded; None is no limit.
    """
    decode = _decoder(request)
    if limit is not None and (request.content_length or 0) > limit:
        raise _too_large(limit)
    await _invite(request)
    decoded = 0
    request[BYTES_READ] = 0
    try:
        while chunk := await request.content.readany():
            request[BYTES_READ] += len(chunk)
            if limit is not None and request[BYTES_READ] > limit:
                raise _too_large(limit)
            for part in decode.feed(chunk):
                decoded += len(part)
                if limit is not None and decoded > limit:
                    raise _too_large(limit)
                yield part
        decode.end()
    except BrokenEncoding as error:
        raise Refused(verdict.invalid_json(str(error), "content_encoding")) from None
    except web.RequestPayloadError as error:
        why = f"the request's framing is broken: {error}"
        raise Refused(verdict.invalid_json(why, "http")) from None


def _decoder(request: web.Request) -> Decoder:
    given = request.headers.get("Content-Encoding", "")
    try:
        return decoder(given)
    except UnknownEncoding as error:
        raise Refused(verdict.unsupported("content_encoding", str(error), given[:100])) from None


async def _invite(request: web.Request) -> None:
    """Tell a client that asked first to send its body (`Expect: 100-continue`, RFC 9110)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What aiohttp's own handler does: the answer proper has not begun.
        request.writer.output_size = 0


async def no_invitation(request: web.Request) -> None:
    """Stand in for aiohttp's `Expect` handler: the body is asked for when it will be read."""
    del request


def _too_large(limit: int) -> Refused:
    return Refused(
        verdict.too_large(f"a body holds at most {limit:,} bytes, as sent and decompressed")
    )
