"""What is stored in the spool: appended, read, deleted, counted.

It blocks, so it must not run on the event loop.
"""

import json
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from server.publish import SpoolFailed
from server.spool.database import BUSY_SECONDS, FILE, SpoolDatabase, is_busy, reading
from server.spool.state import EMPTY, SPOOLING, SpoolFlag

ROW_BYTES: Final = 64
"""Roughly what a row takes in addition to its message and key."""

RESERVE_BYTES: Final = 64_000_000
"""What appending leaves free on the disk: deleting writes too, before it frees anything."""

USUAL_BYTES: Final = 10_000
"""The spool counts as full when it has room for less than this, or than a hundredth of it."""

_USED = "SELECT bytes + refused_bytes FROM totals"
_VACUUM_PAGES = 2_000  # in one step of some milliseconds

type KeyedMessage = tuple[str, bytes]
"""A message to store: its ordering key, and its protobuf form."""


class StoredMessage(NamedTuple):
    """A message in the spool; `message` is its protobuf form."""

    sequence: int
    key: str
    message: bytes


class SpoolTotals(NamedTuple):
    """What the spool holds, without what Pub/Sub refused; `oldest_at` is in Unix seconds."""

    messages: int
    bytes: int
    oldest_at: float | None


class SpoolSummary(NamedTuple):
    """What a spool holds: messages that wait for Pub/Sub, and messages that it refused."""

    file: Path
    messages: int
    bytes: int
    refused: int


def read_summary(folder: Path, timeout: float) -> SpoolSummary | None:
    """Read a spool without changing it; None if there is none. Raises SpoolFailed."""
    with reading(folder, timeout) as db:
        if db is None:
            return None
        messages, size = db.execute("SELECT messages, bytes FROM totals").fetchone()
        (refused,) = db.execute("SELECT COUNT(*) FROM refused").fetchone()
    return SpoolSummary(folder / FILE, messages, size, refused)


class SpoolStore:
    """One process's handle, for one thread at a time. Every call raises SpoolFailed."""

    def __init__(
        self,
        folder: Path,
        flag: SpoolFlag,
        max_bytes: int,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        """Open the spool. Raises OSError too."""
        self._folder = folder
        self._flag = flag
        self._max_bytes = max_bytes
        self._reserve_bytes = reserve_bytes
        self._db = SpoolDatabase(folder, flag, busy_seconds)
        self.close = self._db.close

    def append(self, groups: Sequence[Sequence[KeyedMessage]]) -> list[int]:
        """Store groups in one commit; return how many messages of each group there was room for.

        Those are the first ones of the group. When this returns, they are durable.
        """
        self._check_disk()
        with self._db.writing():
            used = self._db.value(_USED)
            rows, stored = _fitting(groups, self._max_bytes - used)
            if rows:
                if self._flag.state == EMPTY:
                    self._flag.state = SPOOLING
                self._db.connection.executemany(
                    "INSERT INTO messages (ordering_key, message, size, spooled_at)"
                    " VALUES (?, ?, ?, ?)",
                    rows,
                )
                self._count(len(rows), sum(row[2] for row in rows))
            return stored

    def check_room(self) -> None:
        """Raise SpoolFailed if the spool or the disk has no room for a usual message."""
        self._check_disk()
        with self._db.failing():
            used = self._db.value(_USED)
        if self._max_bytes - used <= min(self._max_bytes // 100, USUAL_BYTES):
            raise SpoolFailed("the spool is full")

    def _check_disk(self) -> None:
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < self._reserve_bytes:
            raise SpoolFailed(f"less than {self._reserve_bytes:,} bytes are free on the disk")

    def read(self, max_messages: int, max_bytes: int) -> list[StoredMessage]:
        """Return the first messages, in order: at least one if there is any."""
        rows: list[StoredMessage] = []
        size = 0
        with self._db.reading(
            "SELECT sequence, ordering_key, message FROM messages ORDER BY sequence LIMIT ?",
            max_messages,
        ) as found:
            for row in found:
                size += len(row[2])
                if rows and size > max_bytes:
                    break
                rows.append(StoredMessage(*row))
        return rows

    def settle(self, confirmed: Sequence[int], refused: Sequence[tuple[int, str]]) -> None:
        """Delete what Pub/Sub has confirmed; move what it refuses aside, with the reason."""
        with self._db.writing():
            aside = 0
            for sequence, error in refused:
                aside += self._sum_sizes(
                    "INSERT OR IGNORE INTO refused"
                    " SELECT sequence, ordering_key, message, size, spooled_at, ? FROM messages"
                    " WHERE sequence = ? RETURNING size",
                    error,
                    sequence,
                )[1]
            gone = json.dumps([*confirmed, *(sequence for sequence, _ in refused)])
            count, size = self._sum_sizes(
                "DELETE FROM messages WHERE sequence IN (SELECT value FROM json_each(?))"
                " RETURNING size",
                gone,
            )
            self._count(-count, -size, aside)

    def discard(self, sequences: Sequence[int]) -> int:
        """Delete messages that Pub/Sub refused; return how many there were."""
        with self._db.writing():
            count, size = self._sum_sizes(
                "DELETE FROM refused WHERE sequence IN (SELECT value FROM json_each(?))"
                " RETURNING size",
                json.dumps(list(sequences)),
            )
            self._count(0, 0, -size)
            return count

    def clear_if_empty(self) -> bool:
        """Clear the flag if nothing is stored; return whether that was so."""
        with self._db.writing():
            if self._db.value("SELECT EXISTS (SELECT 1 FROM messages)"):
                return False
            self._flag.state = EMPTY
            return True

    def mark(self, state: int) -> None:
        """Change the flag from one state of a spool in use to another."""
        with self._db.writing():
            if self._flag.state != EMPTY:
                self._flag.state = state

    def totals(self) -> SpoolTotals:
        with self._db.reading(
            "SELECT messages, bytes, (SELECT spooled_at FROM messages ORDER BY sequence LIMIT 1)"
            " FROM totals"
        ) as found:
            return SpoolTotals(*next(found))

    def shrink(self) -> None:
        """Vacuum the database and truncate its WAL while the spool is empty.

        It stops for a server that stores something; the next call continues.
        """
        with self._db.failing():
            try:
                while self._flag.state == EMPTY and self._db.value("PRAGMA freelist_count") > 0:
                    self._execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
                self._execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise

    def _execute(self, statement: str, *values: object) -> list[tuple[int, ...]]:
        return self._db.connection.execute(statement, values).fetchall()

    def _sum_sizes(self, statement: str, *values: object) -> tuple[int, int]:
        sizes = [size for (size,) in self._execute(statement, *values)]
        return len(sizes), sum(sizes)

    def _count(self, messages: int, size: int, refused: int = 0) -> None:
        self._execute(
            "UPDATE totals SET messages = messages + ?, bytes = bytes + ?,"
            " refused_bytes = refused_bytes + ?",
            messages,
            size,
            refused,
        )


def _fitting(
    groups: Sequence[Sequence[KeyedMessage]], free: int
) -> tuple[list[tuple[str, bytes, int, float]], list[int]]:
    """Return the rows for which there is room, and how many of each group they are."""
    now = time.time()
    rows: list[tuple[str, bytes, int, float]] = []
    stored: list[int] = []
    for group in groups:
        before = len(rows)
        for key, message in group:
            size = len(key) + len(message) + ROW_BYTES
            if size > free:
                break
            free -= size
            rows.append((key, message, size, now))
        stored.append(len(rows) - before)
    return rows, stored
