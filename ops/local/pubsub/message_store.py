"""The database: its tables, and every statement that reads or writes them.

`messages` holds a body until the last subscription has acknowledged it; `unacked` has a row for
each message and subscription. One statement handles many rows, so that SQLite works without
Python's lock for most of a commit.
"""

import asyncio
import itertools
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ops.local.pubsub.group_commit import GroupCommit
from ops.runtime.file_lock import FileLock

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS topics (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, config BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS subscriptions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, topic_id INTEGER NOT NULL,
    config BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS subscriptions_of_topic ON subscriptions (topic_id);
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, published INTEGER NOT NULL,
    key TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS unacked (
    subscription_id INTEGER NOT NULL, seq INTEGER NOT NULL, published INTEGER NOT NULL,
    size INTEGER NOT NULL, key TEXT NOT NULL,
    PRIMARY KEY (subscription_id, seq)) WITHOUT ROWID;
"""
# Pages that the write-ahead log may hold before it is folded into the database: 32 MB.
_CHECKPOINT_PAGES = 8192
_ROWS_A_STATEMENT = 250
_TOKENS_A_RUN = 10**12  # more deliveries than one run of the server will ever make
# CROSS JOIN fixes the order: SQLite would otherwise read the whole backlog for each message.
_DROP_UNHELD = """
DELETE FROM messages WHERE {which} AND NOT EXISTS (
    SELECT 1 FROM subscriptions s CROSS JOIN unacked u ON u.subscription_id = s.id
    WHERE s.topic_id = messages.topic_id AND u.seq = messages.seq)
"""


class InUse(Exception):
    """Another process has this state directory open."""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message to write: `published` in microseconds since 1970, `body` a PubsubMessage."""

    seq: int
    published: int
    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Resource:
    """A topic or a subscription as stored; `topic_id` is 0 for a topic."""

    id: int
    topic_id: int
    config: bytes


class MessageStore:
    """The database of one server. Reads and writes happen in threads, never on the loop."""

    def __init__(self, directory: Path) -> None:
        """Open or create it; raise `InUse`, or `OSError` if the directory cannot be used."""
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(directory / "lock")
        if not self._lock.try_exclusive():
            self._lock.close()
            raise InUse(f"{directory} is in use by another process")
        self._path = directory / "pubsub.sqlite3"
        writer = _connect(self._path)
        writer.executescript(_SCHEMA)
        self._reader = _connect(self._path)
        self._reading = ThreadPoolExecutor(1, "reads")
        self.base, self.last_seq, self.first_token = _prepare(writer)
        self._commits = GroupCommit(writer)

    async def close(self) -> None:
        """Commit the queued writes and close the files."""
        await self._commits.close()
        self._reading.shutdown()
        self._reader.close()
        self._lock.close()

    async def _read[T](self, read: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, read, self._reader)

    # Topics and subscriptions

    async def topics(self) -> list[Resource]:
        sql = "SELECT id, 0, config FROM topics ORDER BY id"
        return await self._read(lambda c: [Resource(*row) for row in c.execute(sql)])

    async def subscriptions(self) -> list[Resource]:
        sql = "SELECT id, topic_id, config FROM subscriptions ORDER BY id"
        return await self._read(lambda c: [Resource(*row) for row in c.execute(sql)])

    def create_topic(self, name: str, config: bytes) -> asyncio.Future[int]:
        """Write a topic; the result is its id. The name must be free."""
        sql = "INSERT INTO topics (name, config) VALUES (?, ?)"
        return self._commits.submit(lambda c: c.execute(sql, (name, config)).lastrowid or 0)

    def create_subscription(self, name: str, topic_id: int, config: bytes) -> asyncio.Future[int]:
        """Write a subscription; the result is its id. The name must be free."""
        sql = "INSERT INTO subscriptions (name, topic_id, config) VALUES (?, ?, ?)"
        row = (name, topic_id, config)
        return self._commits.submit(lambda c: c.execute(sql, row).lastrowid or 0)

    def update_subscription(self, subscription_id: int, config: bytes) -> asyncio.Future[None]:
        """Replace a subscription's configuration."""

        def run(c: sqlite3.Connection) -> None:
            sql = "UPDATE subscriptions SET config = ? WHERE id = ?"
            c.execute(sql, (config, subscription_id))

        return self._commits.submit(run)

    def delete_subscription(self, subscription_id: int) -> asyncio.Future[None]:
        """Delete a subscription, and the messages that only it held."""

        def run(c: sqlite3.Connection) -> None:
            _drop(c, subscription_id, 2**62)
            c.execute("DELETE FROM subscriptions WHERE id = ?", (subscription_id,))

        return self._commits.submit(run)

    # Messages

    def publish(
        self,
        topic_id: int,
        subscription_ids: Sequence[int],
        rows: Sequence[MessageRow],
        then: Callable[[None], None],
    ) -> asyncio.Future[None]:
        """Write messages of consecutive sequence numbers, unacked in these subscriptions.

        Without a subscription no message is stored; only their numbers are used up.
        """
        return self._commits.submit(lambda c: _insert(c, topic_id, subscription_ids, rows), then)

    def ack(self, subscription_id: int, seqs: Sequence[int]) -> asyncio.Future[None]:
        """Remove acknowledged messages from a subscription."""
        return self._commits.submit(lambda c: _ack(c, subscription_id, seqs))

    def drop_through(self, subscription_id: int, seq: int) -> asyncio.Future[None]:
        """Remove every message up to and including `seq` from a subscription."""
        return self._commits.submit(lambda c: _drop(c, subscription_id, seq))

    async def unacked(
        self, subscription_id: int, after: int, limit: int
    ) -> list[tuple[int, int, str]]:
        """Return a subscription's next (seq, size, key), in publish order."""
        sql = """SELECT seq, size, key FROM unacked
                 WHERE subscription_id = ? AND seq > ? ORDER BY seq LIMIT ?"""
        row = (subscription_id, after, limit)
        return await self._read(lambda c: c.execute(sql, row).fetchall())

    async def bodies(self, seqs: Sequence[int]) -> dict[int, bytes]:
        """Return the bodies of those of these messages that still exist."""
        sql = "SELECT seq, body FROM messages WHERE seq IN (SELECT value FROM json_each(?))"
        return await self._read(lambda c: dict(c.execute(sql, (json.dumps(list(seqs)),))))

    async def oldest(self, subscription_id: int) -> int | None:
        """Return when the oldest unacked message was published, in microseconds since 1970."""
        sql = "SELECT published FROM unacked WHERE subscription_id = ? ORDER BY seq LIMIT 1"
        row = await self._read(lambda c: c.execute(sql, (subscription_id,)).fetchone())
        return int(row[0]) if row else None

    async def last_before(self, subscription_id: int, published: int) -> int:
        """Return the last sequence number published before that moment; 0 if there is none."""
        kept = """SELECT seq - 1 FROM unacked WHERE subscription_id = :id AND published >= :at
                  ORDER BY seq LIMIT 1"""
        every = "SELECT max(seq) FROM unacked WHERE subscription_id = :id"
        names = {"id": subscription_id, "at": published}

        def read(c: sqlite3.Connection) -> int:
            row = c.execute(kept, names).fetchone() or c.execute(every, names).fetchone()
            return row[0] or 0

        return await self._read(read)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _prepare(c: sqlite3.Connection) -> tuple[int, int, int]:
    """Return the base that makes message ids unique, the last seq, and this run's first token.

    The base is the time of the store's creation: the ledger remembers ids, and must never meet one
    of a deleted store again. Tokens ascend from run to run, even when the machine's clock is set
    back between them.
    """
    base = int(time.time()) * 10**9
    c.execute("INSERT OR IGNORE INTO meta VALUES ('base', ?), ('last_seq', 0)", (base,))
    meta = dict(c.execute("SELECT name, value FROM meta"))
    first_token = max(time.time_ns(), meta.get("first_token", 0) + _TOKENS_A_RUN)
    c.execute("INSERT OR REPLACE INTO meta VALUES ('first_token', ?)", (first_token,))
    return meta["base"], meta["last_seq"], first_token


def _insert(
    c: sqlite3.Connection,
    topic_id: int,
    subscription_ids: Sequence[int],
    rows: Sequence[MessageRow],
) -> None:
    if not rows:
        return
    first, last = rows[0].seq, rows[-1].seq
    c.execute("UPDATE meta SET value = ? WHERE name = 'last_seq'", (last,))
    if not subscription_ids:
        return
    for chunk in itertools.batched(rows, _ROWS_A_STATEMENT, strict=False):
        values = ",".join(["(?,?,?,?,?)"] * len(chunk))
        flat = [x for r in chunk for x in (r.seq, topic_id, r.published, r.key, r.body)]
        c.execute(f"INSERT INTO messages VALUES {values}", flat)  # noqa: S608
    for subscription_id in subscription_ids:
        c.execute(
            """INSERT INTO unacked (subscription_id, seq, published, size, key)
               SELECT ?, seq, published, length(body), key FROM messages
               WHERE seq BETWEEN ? AND ?""",
            (subscription_id, first, last),
        )


def _ack(c: sqlite3.Connection, subscription_id: int, seqs: Sequence[int]) -> None:
    listed = json.dumps(list(seqs))
    which = "seq IN (SELECT value FROM json_each(?))"
    sql = f"DELETE FROM unacked WHERE subscription_id = ? AND {which}"  # noqa: S608
    c.execute(sql, (subscription_id, listed))
    c.execute(_DROP_UNHELD.format(which=which), (listed,))


def _drop(c: sqlite3.Connection, subscription_id: int, through: int) -> None:
    held = "FROM unacked WHERE subscription_id = ? AND seq <= ?"
    row = (subscription_id, through)
    first, last = c.execute(f"SELECT min(seq), max(seq) {held}", row).fetchone()
    c.execute(f"DELETE {held}", row)
    if first is not None:
        c.execute(_DROP_UNHELD.format(which="seq BETWEEN ? AND ?"), (first, last))
