"""Keys in an SQLite file that the servers of a machine share; one commit for all that gathers.

A commit survives the end of a process. The last ones may be lost with the machine's power, as
waiting for the disk would cost every request milliseconds; the ledger then still finds repeats of
the same id.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from ops.runtime.batched_commit import BatchedCommit
from ops.runtime.sqlite_transaction import immediate_transaction
from server.idempotency.record import (
    ATTEMPT_SECONDS,
    PARALLEL_ATTEMPTS,
    Claim,
    Claimed,
    KeyRecord,
    RegistryFailed,
)

CLAIM_SECONDS: Final = 5.0
"""How long a claim may take; a slower disk counts as failed."""

_BUSY_SECONDS = 4.0
_WAL_BYTES = 16_000_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    ordering_key TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at REAL NOT NULL,
    published INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 1,
    attempted_at REAL NOT NULL
);
"""


class _Ask(NamedTuple):
    """A claim, or without a record a settlement."""

    key: bytes
    wanted: KeyRecord | None
    published: bool


class SqliteStore:
    """Make it in the running loop; `close` it. The file is opened with the first claim."""

    def __init__(self, file: Path, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._keys = _Keys(file, seconds, clock)
        self._executor = ThreadPoolExecutor(1, "idempotency")
        self._commits = BatchedCommit(self._keys.apply, self._executor)

    async def claim(self, key: bytes, wanted: KeyRecord) -> Claim:
        try:
            async with asyncio.timeout(CLAIM_SECONDS):
                claim = await self._commits.add(_Ask(key, wanted, published=False))
        except TimeoutError:
            raise RegistryFailed("the disk is too slow") from None
        except (sqlite3.Error, OSError) as error:
            raise RegistryFailed(str(error)) from error
        assert claim is not None  # noqa: S101  # a settlement has none
        return claim

    def settle(self, key: bytes, *, published: bool) -> None:
        self._commits.add(_Ask(key, None, published=published))

    async def close(self) -> None:
        await self._commits.close()
        await asyncio.get_running_loop().run_in_executor(self._executor, self._keys.close)
        self._executor.shutdown()


class _Keys:
    """The table. It blocks; one thread uses it."""

    def __init__(self, file: Path, seconds: float, clock: Callable[[], float]) -> None:
        self._file = file
        self._seconds = seconds
        self._clock = clock
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def apply(self, asks: list[_Ask]) -> list[Claim | None]:
        """Apply requests in order, in one commit."""
        db = self._open()
        now = self._clock()
        with immediate_transaction(db):
            claims = [self._apply(db, ask, now) for ask in asks]
            self._forget(db, now, 2 * len(asks) + 10)
        return claims

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            db = sqlite3.connect(
                self._file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                db.execute("PRAGMA journal_mode=WAL").fetchall()
                db.execute("PRAGMA synchronous=NORMAL")
                db.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}").fetchall()
                db.executescript(_SCHEMA)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _apply(self, db: sqlite3.Connection, ask: _Ask, now: float) -> Claim | None:
        if ask.wanted is not None:
            return self._claim(db, ask.key, ask.wanted, now)
        db.execute(
            "UPDATE keys SET published = published OR ?, attempts = MAX(attempts - 1, 0)"
            " WHERE key = ?",
            (ask.published, ask.key),
        )
        return None

    def _claim(self, db: sqlite3.Connection, key: bytes, wanted: KeyRecord, now: float) -> Claim:
        found = db.execute(
            "SELECT sha256, ordering_key, id, published, attempts, attempted_at FROM keys"
            " WHERE key = ? AND created_at > ?",
            (key, now - self._seconds),
        ).fetchone()
        if found is None:
            db.execute(
                "INSERT OR REPLACE INTO keys"
                " (key, sha256, ordering_key, id, created_at, attempted_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (key, *wanted, now, now),
            )
            return Claim(wanted, Claimed.FIRST)
        record = KeyRecord(*found[:3])
        published, attempts, attempted_at = found[3:]
        if published:
            return Claim(record, Claimed.PUBLISHED)
        if record.sha256 != wanted.sha256 or (
            attempts >= PARALLEL_ATTEMPTS and abs(now - attempted_at) < ATTEMPT_SECONDS
        ):
            return Claim(record, Claimed.WAIT)
        db.execute(
            "UPDATE keys SET attempts = MIN(attempts + 1, ?), attempted_at = ? WHERE key = ?",
            (PARALLEL_ATTEMPTS, now, key),
        )
        return Claim(record, Claimed.AGAIN)

    def _forget(self, db: sqlite3.Connection, now: float, most: int) -> None:
        """Delete the oldest keys that have expired: more than come in, so that none are left."""
        db.execute(
            "DELETE FROM keys WHERE number IN (SELECT number FROM"
            " (SELECT number, created_at FROM keys ORDER BY number LIMIT ?) WHERE created_at <= ?)",
            (most, now - self._seconds),
        )
