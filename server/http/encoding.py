"""Undoes a Content-Encoding part by part, so that a small body cannot become a large memory."""

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

PART_BYTES: Final = 64 * 1024
"""The most that one step of decompression yields."""

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_DEFLATE_METHOD = 8  # in the low half of a zlib stream's first byte, RFC 1950


class UnknownEncoding(ValueError):
    """The Content-Encoding is none that is known here; the text says which are."""


class BrokenEncoding(ValueError):
    """The bytes are not what the Content-Encoding says; the text says how."""


class Decoder(Protocol):
    """Takes the bytes as they arrive; what is yielded is at most PART_BYTES, or what went in."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes decode to. Raises BrokenEncoding."""

    def end(self) -> None:
        """Say that no more bytes come. Raises BrokenEncoding when the stream is not complete."""


def decoder(encoding: str) -> Decoder:
    """Return the decoder for a Content-Encoding header's text. Raises UnknownEncoding."""
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
                # A stream of streams would be copied once for each: one is what HTTP needs.
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


def _deflate_wbits(data: bytes) -> int:
    """Tell a zlib stream, which HTTP's deflate is, from the bare one that some clients send."""
    zlib_header = data[0] & 0x0F == _DEFLATE_METHOD and (
        len(data) == 1 or (data[0] << 8 | data[1]) % 31 == 0
    )
    return _ZLIB if zlib_header else _RAW
