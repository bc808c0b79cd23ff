"""The spool's database file: opened, looked through, and moved aside when it is corrupt."""

import contextlib
import fcntl
import os
import sqlite3
import time
from pathlib import Path
from typing import Final

from ops.runtime import log
from server.spool.state import EMPTY, SPOOLING, Flag

FILE: Final = "spool.sqlite3"
BUSY_SECONDS: Final = 4.0
"""How long a transaction waits for those of other processes, which take milliseconds."""

_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_WAL_BYTES = 16_000_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    -- Never used twice, so that a suspended replayer which wakes up deletes nothing of others'.
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


class SpoolFailed(Exception):
    """The spool cannot be used; the text says why."""


class File:
    """An open database in `db`, of the current form, for one thread at a time."""

    def __init__(self, folder: Path, flag: Flag) -> None:
        """Open it, made when it is missing. Raises SpoolFailed and OSError."""
        self._path = folder / FILE
        self._flag = flag
        # Held as long as the database is open here: who has it alone may move it aside.
        self._users = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self.db = self._open()
        except BaseException:
            os.close(self._users)
            raise

    def close(self) -> None:
        """Close it."""
        self.db.close()
        os.close(self._users)

    def _open(self) -> sqlite3.Connection:
        """Open the database, looked through first by whoever has it alone."""
        alone = _locked(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not alone:
            _locked(self._users, fcntl.LOCK_SH)
        try:
            return self._opened(check=alone)
        except sqlite3.DatabaseError as error:
            if not (alone and error.sqlite_errorcode & 0xFF in _CORRUPT):
                raise SpoolFailed(str(error)) from error
            self._move_aside(error)
            return self._opened(check=False)
        finally:
            if alone:
                _locked(self._users, fcntl.LOCK_SH)

    def _opened(self, *, check: bool) -> sqlite3.Connection:
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
            db.execute("PRAGMA busy_timeout=5").fetchall()  # from here on `_patiently` waits
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


def _check(db: sqlite3.Connection) -> None:
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    return True
