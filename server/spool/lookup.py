"""Finds a transaction in the spool by its id, for a person. Servers may run meanwhile."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from schema import Message
from server.spool.database import reading
from server.spool.refused import read_stored

SECONDS: Final = 3.0
"""The search reads every message of the spool, as its id is inside; it gives up after this."""

_STEPS: Final = 10_000  # of SQLite's machine, between two looks at the time

# The id is UTF-8 in the message's protobuf form, whatever else contains it.
_QUERY: Final = (
    "SELECT spooled_at, NULL, message FROM messages WHERE instr(message, ?1) "
    "UNION ALL SELECT spooled_at, error, message FROM refused WHERE instr(message, ?1)"
)


class SpooledMessage(NamedTuple):
    """`error` is Pub/Sub's where it refused the message; else the message waits."""

    spooled_at: datetime
    error: str | None
    message: Message


def find_spooled(folder: Path, id_: str, seconds: float = SECONDS) -> SpooledMessage | None:
    """Return the first message with an id. Raises SpoolFailed, after `seconds` too."""
    until = time.monotonic() + seconds
    with reading(folder, seconds) as db:
        if db is None:
            return None
        db.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        for spooled_at, error, data in db.execute(_QUERY, (id_.encode(),)):
            if (message := read_stored(data)).id == id_:
                return SpooledMessage(datetime.fromtimestamp(spooled_at, UTC), error, message)
    return None
