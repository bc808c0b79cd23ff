"""Hostile requests: heads, framing, encodings, slow reading; each from a seed and a number."""

import asyncio
import contextlib
import gzip
import random
import re
from collections.abc import Callable
from typing import NamedTuple

from tests.support.hostile_words import BITES, TEXTS
from tests.support.server_in_process import VALID

MOST_BYTES = 1_000_000
"""Of an answer, but a batch's."""

_READ_SECONDS = 10.0
_PATHS = ("/api/activities", "/api/activities/validate", "/api/activities/batch")
_OTHER_PATHS = (
    "/",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/api/activities/abc",
    "/console/state",
    "/console/history",
    "/console/transactions/abc",
)
_FAULTS = gzip.compress(b'{"activities":[' + b",".join([b"{}"] * 10_000) + b"]}")
_BLANK = gzip.compress(b"\n" * 5_000_000)
_BOMB = gzip.compress(bytes(20_000_000))
_MEMBERS = gzip.compress(b"") * 5_000


class HostileRequest(NamedTuple):
    """Bytes to send, with a pause between the parts, and how to read the answer."""

    parts: tuple[bytes, ...]
    read: str = "all"
    """`all`; `slowly`; `never`: close after a while; `reset`: close immediately."""


def hostile_request(seed: int, number: int) -> HostileRequest:
    """Make request `number` of a seed: always the same one."""
    rng = random.Random(f"request/{seed}/{number}")
    made = rng.choice(_KINDS)(rng)
    parts = made if isinstance(made, tuple) else (made,)
    read = rng.choices(("all", "slowly", "never", "reset"), (80, 10, 5, 5))[0]
    if rng.random() < 0.1:  # slow writing
        text = b"".join(parts)
        at = rng.randrange(len(text) + 1)
        parts = (text[:at], text[at : at + 1], text[at + 1 :])
    return HostileRequest(parts, read)


def _request(
    method: str = "POST",
    path: str = _PATHS[1],
    *headers: bytes,
    body: bytes = VALID,
    length: bytes | None = None,
) -> bytes:
    size = str(len(body)).encode() if length is None else length
    lines = [
        f"{method} {path} HTTP/1.1".encode("utf-8", "surrogateescape"),
        b"Host: localhost",
        b"Content-Type: application/json",
        b"Content-Length: " + size,
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _line(rng: random.Random) -> bytes:
    method = rng.choice(("GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "POST", "x", "é", ""))
    path = rng.choice(
        (
            *_PATHS, *_OTHER_PATHS, "*", "//", "/../etc/passwd", "/%00", "/%zz", "/" + "a" * 9_000,
            "http://x/", "/api/activities/" + "%F0%9F%98%80" * 300, "/?" + "a=1&" * 1_500, "",
            "/api/activities/" + rng.choice(TEXTS).replace("\r\n", ""),
        )
    )  # fmt: skip
    return _request(method, path)


def _header(rng: random.Random) -> bytes:
    text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
    name = rng.choice(
        (
            b"Idempotency-Key", b"Ordering-Key", b"X-Request-Id", b"Content-Type", b"Host",
            b"Origin", b"Sec-Fetch-Site", b"Authorization", b"Content-Encoding", b"Expect",
            b"Connection", b"Upgrade", b"Range", b"Cookie", b"X", b"", b" ", b"\0", b"a b",
        )
    )  # fmt: skip
    value = rng.choice((text, rng.choice(BITES), b"x" * rng.choice((0, 1, 255, 256, 9_000))))
    times = rng.choice((1, 1, 2, 200))
    return _request("POST", rng.choice(_PATHS), *[name + b": " + value] * times)


def _framing(rng: random.Random) -> bytes:
    coding = rng.choice(
        (
            b"chunked", b"gzip, chunked", b"identity", b"chunked, chunked", b" chunked",
            b"xchunked",
            b"chunked\r\nTransfer-Encoding: identity", b"\x0bchunked", b"CHUNKED", b"",
        )
    )  # fmt: skip
    size = rng.choice((b"%x" % len(VALID), b"-1", b"0x5", b"f" * 20, b"", b"5;a=b", b"5 ", b"+5"))
    end = rng.choice((b"\r\n", b"\n", b"", b"\r\n\r\n"))
    last = rng.choice((b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\n\n", b"", b"00000\r\n\r\n"))
    body = size + end + VALID + end + last
    if rng.random() < 0.5:
        return _request("POST", _PATHS[1], b"Transfer-Encoding: " + coding, body=body)
    return _request(
        "POST", _PATHS[1], b"Transfer-Encoding: " + coding, body=body, length=b"0"
    ).replace(b"Content-Length: 0\r\n", b"")


def _length(rng: random.Random) -> bytes:
    length = rng.choice(
        (b"-1", b"+5", b"5, 5", b"5\r\nContent-Length: 6", b"99999999999999999999", b"0x10", b"",
         b" ",
         b"1", b"%d" % (len(VALID) + 100))
    )  # fmt: skip
    return _request("POST", rng.choice(_PATHS), length=length)


def _encoded(rng: random.Random) -> bytes:
    body = rng.choice((_FAULTS, _BLANK, _BOMB, _MEMBERS, gzip.compress(VALID)[:-3], VALID))
    path = rng.choice(_PATHS)
    made = _request("POST", path, b"Content-Encoding: gzip", body=body)
    if path.endswith("batch"):
        made = made.replace(b"application/json", b"application/x-ndjson", 1)
    return made


def _batch(rng: random.Random) -> bytes:
    line = rng.choice((b"{}", b"", b"[", VALID, b"[" + b"{}," * 3_000 + b"{}]", b"\xef\xbb\xbf"))
    body = b"\n".join([line] * rng.choice((1, 50, 500)))
    return _request("POST", _PATHS[2], body=body).replace(
        b"application/json", b"application/x-ndjson", 1
    )


def _pipelined(rng: random.Random) -> bytes:
    return b"".join(_request(path=rng.choice(_PATHS[:2])) for _ in range(rng.choice((2, 20, 100))))


def _noise(rng: random.Random) -> bytes:
    return rng.choice(
        (
            rng.randbytes(rng.choice((1, 100, 5_000))),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200),
            b"GET /healthz\r\n\r\n",
            b"GET /healthz HTTP/1.0\r\n\r\n",
            b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
            b"\r\n" * 100,
            b"A" * 100_000,
        )
    )


def _bitten(rng: random.Random) -> bytes:
    request = bytearray(_request(path=rng.choice(_PATHS)))
    for _ in range(rng.choice((1, 2, 5))):
        at = rng.randrange(len(request))
        request[at : at + rng.randrange(3)] = rng.choice((rng.randbytes(1), rng.choice(BITES)))
    return bytes(request)


def _slow(rng: random.Random) -> tuple[bytes, ...]:
    request = _request(path=rng.choice(_PATHS))
    cuts = sorted(rng.sample(range(1, len(request)), 6))
    return tuple(request[a:b] for a, b in zip([0, *cuts], [*cuts, len(request)], strict=True))


_KINDS: tuple[Callable[[random.Random], bytes | tuple[bytes, ...]], ...] = (
    _line, _header, _header, _framing, _framing, _length, _encoded, _batch, _pipelined, _noise,
    _bitten, _bitten, _slow,
)  # fmt: skip


async def send_request(port: int, one: HostileRequest, pause: float = 0.05) -> str | None:
    """Send a request on its own connection; return the fault of its answer, or None."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        return f"no connection: {error}"
    answer = b""
    try:
        with contextlib.suppress(OSError):
            for part in one.parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause if len(one.parts) > 1 else 0)
            if one.read == "reset":
                return None
            if one.read == "never":
                await asyncio.sleep(10 * pause)
                return None
            writer.write_eof()
            async with asyncio.timeout(_READ_SECONDS):
                while part := await reader.read(1_000 if one.read == "slowly" else 1_000_000):
                    answer += part
                    if one.read == "slowly" and len(answer) < 10_000:
                        await asyncio.sleep(pause / 10)
    except TimeoutError:
        pass  # a connection may stay open: what has come is checked
    finally:
        writer.transport.abort()
    return answer_fault(answer, batch=b"/batch" in one.parts[0] or len(one.parts) > 1)


def answer_fault(answer: bytes, *, batch: bool = False) -> str | None:
    """Return what an answer may not be: 5xx but 503, or large."""
    statuses = {int(each) for each in re.findall(rb"(?:^|\})HTTP/1\.[01] (\d{3}) ", answer)}
    if wrong := {each for each in statuses if each >= 500} - {503}:
        return f"{wrong}: {answer[:300]!r}"
    if len(answer) > MOST_BYTES and not batch and len(statuses) == 1:
        return f"an answer of {len(answer):,} bytes"
    return None
