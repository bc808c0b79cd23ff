"""The spool's SQLite file: opened, checked, moved aside if it is corrupt; its transactions."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ops.runtime import log
from ops.runtime.file_lock import FileLock
from server.publish import SpoolFailed
from server.spool.state import EMPTY, SPOOLING, SpoolFlag

FILE: Final = "spool.sqlite3"
BUSY_SECONDS: Final = 4.0
"""How long a transaction waits for those of other processes, which take milliseconds."""

_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_WAL_BYTES = 16_000_000
_POLL_SECONDS = 0.001  # SQLite's own waits grow to 0.1 s: a busy neighbour would always be first

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    -- Never reused, so that a suspended replayer that resumes deletes no other message.
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    ordering_key TEXT NOT NULL,
    message BLOB NOT NULL,
    size INTEGER NOT NULL,
    spooled_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS refused (
    sequence INTEGER PRIMARY KEY,
    ordering_key TEXT NOT NULL,
    message BLOB NOT NULL,
    size INTEGER NOT NULL,
    spooled_at REAL NOT NULL,
    error TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS totals (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    refused_bytes INTEGER NOT NULL
);
INSERT OR IGNORE INTO totals VALUES (1, 0, 0, 0);
"""

logger = log.get(__name__)


class SpoolDatabase:
    """An open database, for one thread at a time. Every call raises SpoolFailed."""

    def __init__(self, folder: Path, flag: SpoolFlag, busy_seconds: float = BUSY_SECONDS) -> None:
        """Open it, or create it if it is missing. Raises OSError too."""
        self._path = folder / FILE
        self._flag = flag
        self._busy_seconds = busy_seconds
        # Shared while the database is open; only a process that has it alone may move it aside.
        self._users = FileLock(folder / "users.lock")
        try:
            self.connection = self._open()
        except BaseException:
            self._users.close()
            raise

    def close(self) -> None:
        self.connection.close()
        self._users.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the one write transaction; commit at the end of the block, or roll back."""
        with self.failing():
            self._wait(lambda: self.connection.execute("BEGIN IMMEDIATE"))
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # a full disk may have ended it already
                    self.connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self, query: str, *values: object) -> Iterator[Iterator[tuple[Any, ...]]]:
        with (
            self.failing(),
            contextlib.closing(
                self._wait(lambda: self.connection.execute(query, values))
            ) as cursor,
        ):
            yield cursor

    @staticmethod
    @contextlib.contextmanager
    def failing() -> Iterator[None]:
        """Raise SQLite's errors as SpoolFailed."""
        try:
            yield
        except sqlite3.Error as error:
            raise SpoolFailed(str(error)) from error

    def value(self, query: str) -> Any:
        return self.connection.execute(query).fetchone()[0]

    def _wait(self, call: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        give_up = time.monotonic() + self._busy_seconds
        while True:
            try:
                return call()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > give_up:
                    raise
            time.sleep(_POLL_SECONDS)

    def _open(self) -> sqlite3.Connection:
        """Open the database; a process that has it alone checks it first."""
        alone = self._users.try_exclusive()
        if not alone:
            self._users.wait_shared()
        try:
            return self._connect(check=alone)
        except sqlite3.DatabaseError as error:
            if not (alone and error.sqlite_errorcode & 0xFF in _CORRUPT):
                raise SpoolFailed(str(error)) from error
            self._move_aside(error)
            return self._connect(check=False)
        finally:
            if alone:
                self._users.wait_shared()

    def _connect(self, *, check: bool) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            db.execute("PRAGMA journal_mode=WAL").fetchall()
            db.execute("PRAGMA synchronous=FULL")
            db.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}").fetchall()
            if check:
                _check(db)
            db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA}")
            # After a power failure the flag may be older than the database.
            (rows,) = db.execute("SELECT EXISTS (SELECT 1 FROM messages)").fetchone()
            if rows and self._flag.state == EMPTY:
                self._flag.state = SPOOLING
            db.execute("COMMIT")
            db.execute("PRAGMA busy_timeout=5").fetchall()  # from here on `_wait` waits
        except BaseException:
            db.close()
            raise
        return db

    def _move_aside(self, error: Exception) -> None:
        name = f"{FILE}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").rename(self._path.with_name(name + suffix))
        kept = str(self._path.with_name(name))
        logger.error("spool_corrupt", error=str(error), kept=kept)


@contextlib.contextmanager
def reading(folder: Path, seconds: float) -> Iterator[sqlite3.Connection | None]:
    """Open a spool to read it, while servers may run; None if there is none.

    Waits up to `seconds` for others. Raises SpoolFailed for any error of SQLite.
    """
    file = folder / FILE
    if not file.exists():
        yield None
        return
    try:
        opened = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=seconds)
        with contextlib.closing(opened) as db:
            yield db
    except sqlite3.Error as error:
        raise SpoolFailed(f"{file}: {error}") from error


def is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _check(db: sqlite3.Connection) -> None:
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
