"""Decodes a Content-Encoding part by part, so that a small body cannot fill the memory."""

import zlib
from collections.abc import Iterator
from typing import Final

PART_BYTES: Final = 64 * 1024
"""The most that one step of decompression yields."""

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_DEFLATE_METHOD = 8  # in the low half of a zlib stream's first byte, RFC 1950


class UnknownEncoding(ValueError):
    """The Content-Encoding is not supported; the text lists those that are."""


class BrokenEncoding(ValueError):
    """The bytes are not in the Content-Encoding; the text gives the reason."""


def decoder(encoding: str) -> "Decoder":
    """Return the decoder for a Content-Encoding header's text. Raises UnknownEncoding.

    `feed` yields parts of at most PART_BYTES, or of the length of its input. `end` checks that the
    stream is complete. Both raise BrokenEncoding.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return _Identity()
        case "gzip" | "x-gzip":
            return _Inflate(_GZIP)
        case "deflate":
            return _Inflate(None)
    raise UnknownEncoding("send Content-Encoding gzip or deflate, or none")


class _Identity:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def end(self) -> None:
        pass


class _Inflate:
    def __init__(self, wbits: int | None) -> None:
        self._inflater = None if wbits is None else zlib.decompressobj(wbits)

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inflater is None:
            self._inflater = zlib.decompressobj(_deflate_wbits(data))
        inflater = self._inflater
        try:
            while data:
                # Several streams in a row would be copied once for each. HTTP needs only one.
                if inflater.eof:
                    raise BrokenEncoding("there are bytes after the end of the compressed body")
                part = inflater.decompress(data, PART_BYTES)
                data = inflater.unconsumed_tail or inflater.unused_data
                if part:
                    yield part
        except zlib.error as error:
            raise BrokenEncoding(f"the compressed body is broken: {error}") from None

    def end(self) -> None:
        if self._inflater is None or not self._inflater.eof:
            raise BrokenEncoding("the compressed body ends too early")


type Decoder = _Identity | _Inflate


def _deflate_wbits(data: bytes) -> int:
    """Distinguish a zlib stream, HTTP's deflate, from the raw one that some clients send."""
    is_zlib = data[0] & 0x0F == _DEFLATE_METHOD and (
        len(data) == 1 or (data[0] << 8 | data[1]) % 31 == 0
    )
    return _ZLIB if is_zlib else _RAW
