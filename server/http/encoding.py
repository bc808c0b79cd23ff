"""Decodes a Content-Encoding part by part, so that a small body cannot fill the memory."""

import zlib
from collections.abc import Iterator
from typing import Final

PART_BYTES: Final = 16 * 1024
"""The most that one step of decoding yields."""

_INPUT_BYTES = 4 * 1024  # of one step: what follows a member's end is copied once a member
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

    `feed` yields parts of at most PART_BYTES, some of them empty: a step of work each. `end` checks
    that the stream is complete. Both raise BrokenEncoding.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return _Identity()
        case "gzip" | "x-gzip":
            return _Inflate(gzip=True)
        case "deflate":
            return _Inflate(gzip=False)
    raise UnknownEncoding("send Content-Encoding gzip or deflate, or none")


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


class _Identity:
    def feed(self, data: bytes) -> Iterator[bytes]:
        return _pieces(data, PART_BYTES)

    def end(self) -> None:
        pass


class _Inflate:
    """gzip, of one member or of several (RFC 1952 2.2: `cat a.gz b.gz`), or deflate."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflater = zlib.decompressobj(_GZIP) if gzip else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inflater is None and data:
            self._inflater = zlib.decompressobj(_deflate_wbits(data))
        for piece in _pieces(data, _INPUT_BYTES):
            yield from self._inflate(piece)

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        inflater = self._inflater
        assert inflater is not None  # noqa: S101  # `feed` made it
        try:
            while data:
                if inflater.eof:
                    if not self._gzip:
                        raise BrokenEncoding("there are bytes after the end of the compressed body")
                    inflater = self._inflater = zlib.decompressobj(_GZIP)
                yield inflater.decompress(data, PART_BYTES)
                data = inflater.unconsumed_tail or inflater.unused_data
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
