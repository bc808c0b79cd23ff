"""The lines of the file to send, read one at a time."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from ops.runtime.letter import tables

MAX_LINE_BYTES = 5_000_000
"""The highest MAX_BODY_BYTES: no server accepts a longer line."""

_BOM = b"\xef\xbb\xbf"  # some editors begin a file with it


@dataclass(frozen=True, slots=True)
class TransactionLine:
    """One transaction. `number` counts from 1, blank lines included.

    `body` is None if the line is longer than the limit. `end` is its end in the file, in bytes.
    """

    number: int
    body: bytes | None
    end: int

    def ordering_key(self) -> str:
        """Return the server's default: the first table that the transaction names."""
        return next(iter(tables(self.body or b"")), "")


def content_name(opened: IO[bytes]) -> str:
    """Return the default name of a run: the same content gives the same name."""
    name = hashlib.file_digest(opened, "sha256").hexdigest()  # type: ignore[arg-type]  # any binary file
    opened.seek(0)
    return name


def idempotency_key(run: str, number: int) -> str:
    """Return a line's key; at most 255 characters for a run's name of at most 200."""
    return f"send/{run}/{number}"


def lines(opened: IO[bytes], max_bytes: int = MAX_LINE_BYTES) -> Iterator[TransactionLine]:
    """Yield the lines that are not blank."""
    number = end = 0
    while raw := opened.readline(max_bytes + 2):
        number += 1
        end += len(raw)
        body: bytes | None = raw.removesuffix(b"\n").removesuffix(b"\r")
        if number == 1 and body:
            body = body.removeprefix(_BOM)
        if len(body or b"") > max_bytes:
            body = None
            while not raw.endswith(b"\n") and (raw := opened.readline(max_bytes)):
                end += len(raw)
        if body is None or body.strip():
            yield TransactionLine(number, body, end)
