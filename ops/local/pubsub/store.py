"""What is on disk: the tables, and every statement that reads or writes them.

`messages` holds a body for as long as one subscription has not acknowledged it; `unacked` has a row
for each message and subscription. One statement handles many rows, so that SQLite works without
Python's lock for most of a commit.
"""

import asyncio
import fcntl
import itertools
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ops.local.pubsub.commits import Commits

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
    size INTEGER NOT NULL, key TEXT NOT NULL, failures INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subscription_id, seq)) WITHOUT ROWID;
"""
# Pages that the write-ahead log may hold before it is folded into the database: 32 MB.
_CHECKPOINT_PAGES = 8192
_ROWS_A_STATEMENT = 250
_TOKENS_A_RUN = 10**12  # more deliveries than one run of the server will ever make
# CROSS JOIN fixes the order: by itself SQLite reads the whole backlog for each message.
_DROP_UNHELD = """
DELETE FROM messages WHERE {which} AND NOT EXISTS (
    SELECT 1 FROM subscriptions s CROSS JOIN unacked u ON u.subscription_id = s.id
    WHERE s.topic_id = messages.topic_id AND u.seq = messages.seq)
"""


class InUse(Exception):
    """Another process has this state directory open."""


@dataclass(frozen=True, slots=True)
class Row:
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


class Store:
    """The database of one server. Reads and writes happen in threads, never on the loop."""

    def __init__(self, directory: Path) -> None:
        """Open or create it; raise `InUse`, or `OSError` where the directory cannot be used."""
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = (directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InUse(f"{directory} is in use by another process") from None
        self._path = directory / "pubsub.sqlite3"
        writer = _connect(self._path)
        writer.executescript(_SCHEMA)
        self._reader = _connect(self._path)
        self._reading = ThreadPoolExecutor(1, "reads")
        self.base, self.last_seq, self.first_token = _prepare(writer)
        self._commits = Commits(writer)

    async def close(self) -> None:
        """Commit what is under way and close the files."""
        await self._commits.close()
        self._reading.shutdown()
        self._reader.close()
        self._lock.close()

    async def _read[T](self, read: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, read, self._reader)

    # Topics and subscriptions

    async def topics(self) -> list[Resource]:
        """Return every topic."""
        sql = "SELECT id, 0, config FROM topics ORDER BY id"
        return await self._read(lambda c: [Resource(*row) for row in c.execute(sql)])

    async def subscriptions(self) -> list[Resource]:
        """Return every subscription."""
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

    def update_topic(self, topic_id: int, config: bytes) -> asyncio.Future[None]:
        """Replace a topic's configuration."""
        return self._execute("UPDATE topics SET config = ? WHERE id = ?", (config, topic_id))

    def update_subscription(self, subscription_id: int, config: bytes) -> asyncio.Future[None]:
        """Replace a subscription's configuration."""
        sql = "UPDATE subscriptions SET config = ? WHERE id = ?"
        return self._execute(sql, (config, subscription_id))

    def delete_topic(self, topic_id: int) -> asyncio.Future[None]:
        """Delete a topic; its subscriptions keep what they hold."""
        return self._execute("DELETE FROM topics WHERE id = ?", (topic_id,))

    def delete_subscription(self, subscription_id: int) -> asyncio.Future[None]:
        """Delete a subscription and what only it held."""

        def run(c: sqlite3.Connection) -> None:
            _drop(c, subscription_id, 2**62)
            c.execute("DELETE FROM subscriptions WHERE id = ?", (subscription_id,))

        return self._commits.submit(run)

    def _execute(self, sql: str, row: tuple[bytes | int, ...]) -> asyncio.Future[None]:
        def run(c: sqlite3.Connection) -> None:
            c.execute(sql, row)

        return self._commits.submit(run)

    # Messages

    def publish(
        self,
        topic_id: int,
        subscription_ids: Sequence[int],
        rows: Sequence[Row],
        then: Callable[[None], None],
    ) -> asyncio.Future[None]:
        """Write messages of consecutive sequence numbers, unacked in these subscriptions.

        Without a subscription nobody will ever read them, and only their numbers are used up.
        """
        return self._commits.submit(lambda c: _insert(c, topic_id, subscription_ids, rows), then)

    def forward(
        self,
        source: tuple[int, Sequence[int]],
        topic_id: int,
        subscription_ids: Sequence[int],
        rows: Sequence[Row],
        then: Callable[[None], None],
    ) -> asyncio.Future[None]:
        """Publish rows and settle the (subscription, sequence numbers) they came from, as one."""

        def run(c: sqlite3.Connection) -> None:
            _insert(c, topic_id, subscription_ids, rows)
            _settle(c, *source)

        return self._commits.submit(run, then)

    def settle(self, subscription_id: int, seqs: Sequence[int]) -> asyncio.Future[None]:
        """Remove acknowledged messages from a subscription."""
        return self._commits.submit(lambda c: _settle(c, subscription_id, seqs))

    def drop_through(self, subscription_id: int, seq: int) -> asyncio.Future[None]:
        """Remove every message up to and including `seq` from a subscription."""
        return self._commits.submit(lambda c: _drop(c, subscription_id, seq))

    def count_failures(
        self, subscription_id: int, failures: Iterable[tuple[int, int]]
    ) -> asyncio.Future[None]:
        """Keep how often messages have failed, as (sequence number, failures)."""
        rows = [(count, subscription_id, seq) for seq, count in failures]
        sql = "UPDATE unacked SET failures = ? WHERE subscription_id = ? AND seq = ?"

        def run(c: sqlite3.Connection) -> None:
            c.executemany(sql, rows)

        return self._commits.submit(run)

    async def unacked(
        self, subscription_id: int, after: int, limit: int
    ) -> list[tuple[int, int, str, int]]:
        """Return a subscription's next (seq, size, key, failures), in publish order."""
        sql = """SELECT seq, size, key, failures FROM unacked
                 WHERE subscription_id = ? AND seq > ? ORDER BY seq LIMIT ?"""
        row = (subscription_id, after, limit)
        return await self._read(lambda c: c.execute(sql, row).fetchall())

    async def bodies(self, seqs: Sequence[int]) -> dict[int, bytes]:
        """Return the bodies of those of these messages that are still there."""
        sql = "SELECT seq, body FROM messages WHERE seq IN (SELECT value FROM json_each(?))"
        return await self._read(lambda c: dict(c.execute(sql, (json.dumps(list(seqs)),))))

    async def oldest(self, subscription_id: int) -> int | None:
        """Return when the oldest unacked message was published, in microseconds since 1970."""
        sql = "SELECT published FROM unacked WHERE subscription_id = ? ORDER BY seq LIMIT 1"
        row = await self._read(lambda c: c.execute(sql, (subscription_id,)).fetchone())
        return int(row[0]) if row else None

    async def last_before(self, subscription_id: int, published: int) -> int:
        """Return the last sequence number published before that moment; 0 where there is none."""
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

    A store's ids start at its birth: whoever remembers the ids of a store that was thrown away, as
    the ledger does, never meets one of them again. Tokens ascend from run to run, whatever the
    machine's clock does between them.
    """
    base = int(time.time()) * 10**9
    c.execute("INSERT OR IGNORE INTO meta VALUES ('base', ?), ('last_seq', 0)", (base,))
    meta = dict(c.execute("SELECT name, value FROM meta"))
    first_token = max(time.time_ns(), meta.get("first_token", 0) + _TOKENS_A_RUN)
    c.execute("INSERT OR REPLACE INTO meta VALUES ('first_token', ?)", (first_token,))
    return meta["base"], meta["last_seq"], first_token


def _insert(
    c: sqlite3.Connection, topic_id: int, subscription_ids: Sequence[int], rows: Sequence[Row]
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


def _settle(c: sqlite3.Connection, subscription_id: int, seqs: Sequence[int]) -> None:
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
