"""The file to send: its lines, one at a time, each with its number and its keys.

What is in memory is one line.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ops.commands.deadletter.letter import tables

MAX_LINE_BYTES = 5_000_000
"""The most that MAX_BODY_BYTES can be set to: no server takes a longer line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One transaction; `number` counts from 1, blank lines included.

    `body` is None where the line is longer than `MAX_LINE_BYTES`; `end` is where it ends in the
    file, in bytes.
    """

    number: int
    body: bytes | None
    end: int

    def lane(self) -> str:
        """Return the ordering key that the server gives it: the first table that it names."""
        return next(iter(tables(self.body or b"")), "")


def run_name(file: Path) -> str:
    """Return the name of a run of this very content: the same file sent again has the same."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def idempotency_key(run: str, number: int) -> str:
    """Return a line's key; at most 255 characters when the run's name has at most 200."""
    return f"send/{run}/{number}"


def lines(opened: IO[bytes]) -> Iterator[Line]:
    """Yield the lines that are not blank."""
    number = end = 0
    while raw := opened.readline(MAX_LINE_BYTES + 2):
        number += 1
        end += len(raw)
        body: bytes | None = raw.removesuffix(b"\n").removesuffix(b"\r")
        if len(body or b"") > MAX_LINE_BYTES:
            body = None
            while not raw.endswith(b"\n") and (raw := opened.readline(MAX_LINE_BYTES)):
                end += len(raw)
        if body is None or body.strip():
            yield Line(number, body, end)
