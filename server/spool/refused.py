"""What Pub/Sub refused of a spool, for a person to read and discard. Servers may run meanwhile."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from schema import Message, read_message
from server.publish import decode
from server.spool.database import reading
from server.spool.state import SpoolFlag
from server.spool.store import SpoolStore

READ_SECONDS = 5.0


class RefusedMessage(NamedTuple):
    """`error` is Pub/Sub's; `sequence` is the message's number in this spool."""

    sequence: int
    spooled_at: datetime
    error: str
    message: Message


def refused_messages(folder: Path) -> Iterator[RefusedMessage]:
    """Yield what is refused, in order; nothing if there never was a spool. Raises SpoolFailed."""
    query = "SELECT sequence, spooled_at, error, message FROM refused ORDER BY sequence"
    with reading(folder, READ_SECONDS) as db:
        for sequence, spooled_at, error, message in db.execute(query) if db else ():
            at = datetime.fromtimestamp(spooled_at, UTC)
            yield RefusedMessage(sequence, at, error, read_stored(message))


def read_stored(data: bytes) -> Message:
    """Read the protobuf form in which the spool has a message."""
    stored = decode(data)
    return read_message(stored.data, stored.attributes, "", "", stored.ordering_key)


def discard_refused(folder: Path, sequences: Sequence[int]) -> int:
    """Delete refused messages permanently; return how many there were.

    Raises SpoolFailed and OSError.
    """
    with (
        contextlib.closing(SpoolFlag(folder / "flag")) as flag,
        contextlib.closing(SpoolStore(folder, flag, max_bytes=0)) as store,
    ):
        return store.discard(sequences)
