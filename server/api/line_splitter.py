"""Splits the body of a batch into lines as it arrives, in memory for one line."""

from collections.abc import Iterator
from typing import Final

from server.http import refusal

_BOM: Final = b"\xef\xbb\xbf"


class LineSplitter:
    r"""Yields each line that is not blank, without its `\n`; None in place of one too long.

    `feed` raises Refusal at more than `max_lines`, blank ones included. A byte order mark at the
    start, as some editors write it, is left out.
    """

    def __init__(self, max_bytes: int, max_lines: int) -> None:
        self._max_bytes = max_bytes
        self._max_lines = max_lines
        self._lines = 0
        self._held = bytearray()
        self._too_long = False
        self._start = _BOM

    def feed(self, part: bytes) -> Iterator[bytes | None]:
        *ends, rest = part.split(b"\n")
        for end in ends:
            self._lines += 1
            if self._lines > self._max_lines:
                raise refusal.too_large(f"a batch holds at most {self._max_lines:,} lines")
            if end or self._held:
                self._hold(end)
                yield from self._line()
        self._hold(rest)

    def end(self) -> Iterator[bytes | None]:
        r"""Yield the last line where no `\n` follows it."""
        return self._line()

    def _hold(self, part: bytes) -> None:
        self._too_long = self._too_long or len(self._held) + len(part) > self._max_bytes
        if self._too_long:
            part = b"\0"  # only so that the line is not empty
            self._held.clear()
        self._held += part

    def _line(self) -> Iterator[bytes | None]:
        line = bytes(self._held).removeprefix(self._start).strip()
        too_long, self._too_long, self._start = self._too_long, False, b""
        self._held.clear()
        if too_long:
            yield None
        elif line:
            yield line
