"""The spool: messages that Pub/Sub could not be reached for, on disk, in order, bounded.

One SQLite database and one flag (`server.spool.state`), shared by all servers of a machine that
publish to the same topic. It lies in `STATE_DIR/spool/<project>/<topic>/`: what waits for one topic
is never published to another, whatever the settings say at the next start.

Why nothing overtakes. Say that a client has its 200 for m1 and then sends m2 of the same key,
perhaps to another server.

1. m1 was published: m2 is later in any case.
2. m1 was spooled: the flag was set inside the transaction that stored m1, before its commit and so
   before the 200. Only the replayer clears it, inside a write transaction in which it saw the table
   empty: SQLite lets one process write at a time, so nobody can be storing anything then, and m1's
   row is gone, as Pub/Sub has confirmed it. So a server that takes up m2 sees the flag, and stores
   m2 behind m1; or it does not, and m1 is published.
3. Within a server a key is in one delivery at a time, and the flag is read when the delivery begins
   (`server.publish.publisher`). What waits behind a call that failed is stored behind that call's
   messages.
4. The replayer publishes a key by sequence, a call at a time, and sends none before the one in
   front of it is confirmed. Every call that may have reached Pub/Sub unconfirmed (its answer lost,
   a replayer killed or suspended in it) holds consecutive messages behind confirmed ones, so it
   can land late or twice without any message's *first* copy leaving the order; later copies carry
   the same id, and the workers pass over them.

Two messages of which neither was answered when the other was sent to another server have no order.

A row is deleted only when Pub/Sub has confirmed its message. One that Pub/Sub itself refuses moves
to the table `refused` with the reason, for a person to look at; it counts towards the bound.

The machine itself may fail: the database is synchronous at every commit, and the flag is derived
from it anew when a server starts. A database that is corrupt is moved aside, never deleted, by the
first server to start while no other has it open; until then nothing is spooled.

Nothing here may run on the event loop. STATE_DIR must be a local disk: a network file system gives
neither SQLite's WAL nor a shared mapping what it needs.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from server.spool.database import BUSY_SECONDS, File, SpoolFailed
from server.spool.state import EMPTY, SPOOLING, Flag

ROW_BYTES: Final = 64
"""What a row takes beside its message and key, about."""

RESERVE_BYTES: Final = 64_000_000
"""What appending leaves free on the disk: deleting writes too, before it frees anything."""

_POLL_SECONDS = 0.001  # SQLite's own waits grow to 0.1 s: a busy neighbour would always be first
_VACUUM_PAGES = 2_000  # at once: some milliseconds


class Waiting(NamedTuple):
    """A message to be stored: its ordering key, and itself as bytes of its protobuf form."""

    key: str
    message: bytes


class Row(NamedTuple):
    """A message that is stored."""

    sequence: int
    key: str
    message: bytes


class Totals(NamedTuple):
    """What the spool holds, without what Pub/Sub refused."""

    messages: int
    bytes: int
    oldest_at: float | None
    """When the oldest was stored, Unix seconds."""


class Store:
    """One process's handle, for one thread at a time. Every call raises SpoolFailed."""

    def __init__(self, folder: Path, flag: Flag, max_bytes: int) -> None:
        self._flag = flag
        self._max_bytes = max_bytes
        self._folder = folder
        self._file = File(folder, flag)
        self._db = self._file.db

    def append(self, groups: Sequence[Sequence[Waiting]]) -> list[int]:
        """Store groups in one commit; return how many messages of each group there was room for.

        A group is stored from its beginning; nothing of it is left out before what is stored. When
        this returns, what was stored is durable.
        """
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < RESERVE_BYTES:
            raise SpoolFailed(f"less than {RESERVE_BYTES:,} bytes are free on the disk")
        with self._writing():
            now = time.time()
            free = self._max_bytes - self._used()
            rows: list[tuple[str, bytes, int, float]] = []
            stored: list[int] = []
            for group in groups:
                count = 0
                for key, message in group:
                    size = len(key) + len(message) + ROW_BYTES
                    if size > free:
                        break
                    free -= size
                    rows.append((key, message, size, now))
                    count += 1
                stored.append(count)
            if rows:
                if self._flag.state == EMPTY:
                    self._flag.state = SPOOLING
                self._db.executemany(
                    "INSERT INTO messages (ordering_key, message, size, spooled_at)"
                    " VALUES (?, ?, ?, ?)",
                    rows,
                )
                self._count(len(rows), sum(row[2] for row in rows))
            return stored

    def read(self, max_messages: int, max_bytes: int) -> list[Row]:
        """Return the first messages, in order: at least one if there is any."""
        rows: list[Row] = []
        size = 0
        with self._reading(
            "SELECT sequence, ordering_key, message FROM messages ORDER BY sequence LIMIT ?",
            max_messages,
        ) as found:
            for row in found:
                size += len(row[2])
                if rows and size > max_bytes:
                    break
                rows.append(Row(*row))
        return rows

    def settle(self, confirmed: Sequence[int], refused: Sequence[tuple[int, str]]) -> None:
        """Delete what Pub/Sub has confirmed; keep aside what it refuses, with its reason."""
        with self._writing():
            aside = 0
            for sequence, error in refused:
                aside += self._sum(
                    "INSERT OR IGNORE INTO refused"
                    " SELECT sequence, ordering_key, message, size, spooled_at, ? FROM messages"
                    " WHERE sequence = ? RETURNING size",
                    error,
                    sequence,
                )[1]
            gone = json.dumps([*confirmed, *(sequence for sequence, _ in refused)])
            count, size = self._sum(
                "DELETE FROM messages WHERE sequence IN (SELECT value FROM json_each(?))"
                " RETURNING size",
                gone,
            )
            self._count(-count, -size, aside)

    def clear_if_empty(self) -> bool:
        """Clear the flag if nothing is stored; say whether that was so."""
        with self._writing():
            if self._value("SELECT EXISTS (SELECT 1 FROM messages)"):
                return False
            self._flag.state = EMPTY
            return True

    def mark(self, state: int) -> None:
        """Change the flag from one state of a spool in use to another."""
        with self._writing():
            if self._flag.state != EMPTY:
                self._flag.state = state

    def totals(self) -> Totals:
        """Return what the spool holds."""
        with self._reading(
            "SELECT messages, bytes, (SELECT spooled_at FROM messages ORDER BY sequence LIMIT 1)"
            " FROM totals"
        ) as found:
            return Totals(*next(found))

    def shrink(self) -> None:
        """Give what an empty spool leaves behind back to the disk, as long as it stays empty.

        It makes way for a server that stores something: the next emptying gives that back too.
        """
        with self._failing(), _making_way():
            while self._flag.state == EMPTY and self._value("PRAGMA freelist_count") > 0:
                self._db.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the database."""
        self._file.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the one write transaction; commit at the end of the block, or undo it."""
        with self._failing():
            self._patiently(lambda: self._db.execute("BEGIN IMMEDIATE"))
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have ended it already
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self, query: str, *values: object) -> Iterator[Iterator[tuple[Any, ...]]]:
        with self._failing():
            cursor = self._patiently(lambda: self._db.execute(query, values))
            try:
                yield cursor
            finally:
                cursor.close()

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise SpoolFailed(str(error)) from error

    @staticmethod
    def _patiently(call: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        give_up = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return call()
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > give_up:
                    raise
            time.sleep(_POLL_SECONDS)

    def _used(self) -> int:
        return int(self._value("SELECT bytes + refused_bytes FROM totals"))

    def _value(self, query: str) -> Any:
        return self._db.execute(query).fetchone()[0]

    def _sum(self, statement: str, *values: object) -> tuple[int, int]:
        sizes = [size for (size,) in self._db.execute(statement, values)]
        return len(sizes), sum(sizes)

    def _count(self, messages: int, size: int, refused: int = 0) -> None:
        self._db.execute(
            "UPDATE totals SET messages = messages + ?, bytes = bytes + ?,"
            " refused_bytes = refused_bytes + ?",
            (messages, size, refused),
        )


@contextlib.contextmanager
def _making_way() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if not _is_busy(error):
            raise


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
