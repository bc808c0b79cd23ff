"""Notifications that are gathered or wait for their receiver, in an SQLite file of STATE_DIR.

A dead letter is acknowledged after it is in here, so the end of a process loses none; one that ends
between the two counts some twice. The file is bounded: a receiver has at most MAX_WAITING, the
oldest make room.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from ops.notify.notification import MAX_IDS, Notification
from ops.runtime.settings import Settings
from ops.runtime.sqlite_transaction import immediate_transaction

MAX_WAITING: Final = 1_000
"""Notifications of one receiver."""
MAX_TEXT: Final = 1_000
"""Characters of a text that a notification repeats."""
KEPT_SECONDS: Final = 86_400.0
"""How long a notification is tried."""
GATHER_SECONDS: Final = 60

_WAL_BYTES = 4_000_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notifications (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    source TEXT NOT NULL,
    table_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    error TEXT NOT NULL,
    ids TEXT NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    count INTEGER NOT NULL,
    due_at REAL NOT NULL,
    UNIQUE (url, source, table_name, reason, due_at)
);
CREATE TABLE IF NOT EXISTS receivers (
    url TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    next_at REAL NOT NULL,
    error TEXT NOT NULL,
    is_off INTEGER NOT NULL DEFAULT 0
);
"""
_ADD = """
INSERT INTO notifications VALUES (?1, ?2, ?3, ?4, ?5, ?6, json_array(?7), ?8, ?8, 1, ?9)
ON CONFLICT (url, source, table_name, reason, due_at) DO UPDATE SET
    ids = CASE WHEN json_array_length(ids) < ?10
        THEN json_insert(ids, '$[#]', excluded.ids ->> 0) ELSE ids END,
    first_at = min(first_at, excluded.first_at),
    last_at = max(last_at, excluded.last_at),
    count = count + 1
"""
_TRIM = """
DELETE FROM notifications WHERE id IN (
    SELECT id FROM notifications WHERE url = ? ORDER BY due_at DESC, id LIMIT -1 OFFSET ?)
"""
_DUE = """
SELECT id, notifications.url, source, table_name, reason, notifications.error, ids, first_at,
    last_at, count
FROM notifications LEFT JOIN receivers USING (url)
WHERE due_at <= ?1 AND coalesce(next_at, 0) <= ?1 ORDER BY due_at
"""


_IDS = Notification._fields.index("ids")


class RejectedTransaction(NamedTuple):
    """What a dead letter says; `at` is when it was rejected, in seconds since 1970."""

    id: str
    source: str
    reason: str
    error: str
    at: float
    tables: tuple[str, ...]


class ReceiverState(NamedTuple):
    """A receiver's `failures` in a row, the last `error`, and whether it is switched off."""

    url: str
    failures: int
    error: str
    is_off: int


class Waiting(NamedTuple):
    """How many notifications wait for a receiver, and how long the oldest has, in seconds."""

    number: int
    oldest_seconds: float


def outbox_file(settings: Settings) -> Path:
    return settings.state_dir / "notify" / "outbox.sqlite"


class Outbox:
    """The file. Raises sqlite3.Error and OSError where the disk fails. `close` it."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def add(
        self, rejected: Iterable[tuple[RejectedTransaction, dict[str, str]]], now: float
    ) -> int:
        """Gather rejections for their receivers, URLs with a table; return how many were dropped.

        A receiver that is switched off gets none.
        """
        due_at = (now // GATHER_SECONDS + 1) * GATHER_SECONDS
        off = {each.url for each in self.receivers() if each.is_off}
        urls: set[str] = set()
        with immediate_transaction(self._db):
            for each, found in rejected:
                for url in found.keys() - off:
                    urls.add(url)
                    self._db.execute(_ADD, _row(each, url, found[url], due_at))
            return sum(self._db.execute(_TRIM, (url, MAX_WAITING)).rowcount for url in urls)

    def due(self, now: float) -> dict[str, list[Notification]]:
        """Return what may be sent now by URL, the oldest first."""
        found: dict[str, list[Notification]] = {}
        for row in self._db.execute(_DUE, (now,)):
            stored = Notification(*row)
            one = stored._replace(ids=tuple(json.loads(row[_IDS])))
            found.setdefault(one.url, []).append(one)
        return found

    def sent(self, notification: Notification) -> None:
        with immediate_transaction(self._db):
            self._db.execute("DELETE FROM notifications WHERE id = ?", (notification.id,))
            self.switch_on(notification.url)

    def switch_on(self, url: str) -> None:
        """Forget a receiver's failures, and that it was switched off."""
        self._db.execute("DELETE FROM receivers WHERE url = ?", (url,))

    def failures(self, url: str) -> int:
        """Return the receiver's failures in a row."""
        row = self._db.execute("SELECT failures FROM receivers WHERE url = ?", (url,)).fetchone()
        return row[0] if row else 0

    def failed(self, url: str, error: str, next_at: float) -> None:
        """Count a failure: nothing is due for the receiver before `next_at`."""
        self._db.execute(
            "INSERT INTO receivers VALUES (?, 1, ?, ?, 0) ON CONFLICT (url) DO UPDATE SET"
            " failures = failures + 1, next_at = excluded.next_at, error = excluded.error",
            (url, next_at, error[:MAX_TEXT]),
        )

    def switch_off(self, url: str, error: str) -> int:
        """Stop sending to a receiver; return how many notifications were dropped."""
        with immediate_transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO receivers VALUES (?, 1, 0, ?, 1)", (url, error[:MAX_TEXT])
            )
            return self._db.execute("DELETE FROM notifications WHERE url = ?", (url,)).rowcount

    def expire(self, now: float) -> int:
        """Drop what was tried for KEPT_SECONDS; return how many."""
        oldest = (now - KEPT_SECONDS,)
        return self._db.execute("DELETE FROM notifications WHERE due_at < ?", oldest).rowcount

    def receivers(self) -> list[ReceiverState]:
        """Return the receivers that fail or are switched off."""
        rows = self._db.execute("SELECT url, failures, error, is_off FROM receivers ORDER BY url")
        return [ReceiverState(*row) for row in rows]

    def waiting(self, now: float) -> Waiting:
        """Return what is due and not sent yet."""
        count, oldest = self._db.execute(
            "SELECT count(*), min(due_at) FROM notifications WHERE due_at <= ?", (now,)
        ).fetchone()
        return Waiting(count, 0.0 if oldest is None else now - oldest)


def _row(each: RejectedTransaction, url: str, table: str, due_at: float) -> tuple[object, ...]:
    id_ = f"ntf_{uuid.uuid4().hex}"
    error = each.error[:MAX_TEXT]
    texts = each.source[:MAX_TEXT], table[:MAX_TEXT], each.reason[:MAX_TEXT], error, each.id
    return id_, url, *texts, each.at, due_at, MAX_IDS
