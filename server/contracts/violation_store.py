"""Violations by day in an SQLite file of STATE_DIR, which the servers of a machine share.

`gatekeeper contract report` reads it. Its size is bounded: MAX_ROWS, kept KEPT_DAYS.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from ops.runtime.settings import Settings
from ops.runtime.sqlite_transaction import immediate_transaction
from server.contracts.violation_counts import Occurrences, ViolationKey, folded

KEPT_DAYS: Final = 30
MAX_ROWS: Final = 10_000
"""Beyond it, new names of columns and of tables without a contract are counted together."""

_BUSY_SECONDS = 4.0
_KEY = ", ".join(f'"{name}"' for name in ("day", *ViolationKey._fields))
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS violations (
    {_KEY}, count INTEGER, first_at REAL, last_at REAL, message TEXT, examples TEXT,
    PRIMARY KEY ({_KEY})
) WITHOUT ROWID;
"""
_MATCH = " AND ".join(f'"{name}" = ?' for name in ("day", *ViolationKey._fields))


class ViolationCount(NamedTuple):
    """A row of the report."""

    key: ViolationKey
    occurrences: Occurrences


def violations_file(settings: Settings) -> Path:
    return settings.state_dir.absolute() / "contract_violations.sqlite"


class ViolationStore:
    """The file. Every method blocks and raises sqlite3.Error or OSError."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def add(self, tallies: Mapping[ViolationKey, Occurrences], now: datetime) -> None:
        """Add counts to those of the day, in one commit."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        oldest = (now - timedelta(days=KEPT_DAYS)).date().isoformat()
        day = now.date().isoformat()
        with self._open() as db, immediate_transaction(db):
            db.execute("DELETE FROM violations WHERE day < ?", (oldest,))
            for key, tally in tallies.items():
                self._add(db, day, key, tally)

    def read(self, days: int, now: datetime | None = None) -> list[ViolationCount]:
        """Return the counts of the last days, today included, the most frequent first."""
        since = ((now or datetime.now(UTC)) - timedelta(days=days - 1)).date().isoformat()
        found: dict[ViolationKey, Occurrences] = {}
        if not self._file.exists():
            return []
        with self._open() as db:
            for row in db.execute("SELECT * FROM violations WHERE day >= ? ORDER BY day", (since,)):
                key, tally = _from_row(row)
                known = found.setdefault(key, tally)
                if known is not tally:
                    known.add(tally)
        counts = [ViolationCount(*each) for each in found.items()]
        return sorted(counts, key=lambda each: (-each.occurrences.count, each.key))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one use: a connection must not outlive the file, which may be lost."""
        with closing(
            sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None)
        ) as db:
            db.executescript(_SCHEMA)
            yield db

    def _add(self, db: sqlite3.Connection, day: str, key: ViolationKey, tally: Occurrences) -> None:
        known = _row(db, day, key)
        if known is None and _is_full(db):
            key = folded(key)
            known = _row(db, day, key)
        if known is not None:
            _, older = _from_row(known)
            older.add(tally)
            tally = older
        values = (tally.count, tally.first_at, tally.last_at, tally.message)
        examples = json.dumps(tally.examples, ensure_ascii=False)
        db.execute(
            f"INSERT OR REPLACE INTO violations VALUES ({', '.join('?' * 13)})",  # noqa: S608
            (day, *key, *values, examples),
        )


def _row(db: sqlite3.Connection, day: str, key: ViolationKey) -> Any:
    return db.execute(
        f"SELECT * FROM violations WHERE {_MATCH}",  # noqa: S608  # names of our own
        (day, *key),
    ).fetchone()


def _is_full(db: sqlite3.Connection) -> bool:
    (count,) = db.execute("SELECT COUNT(*) FROM violations").fetchone()
    return bool(count >= MAX_ROWS)


def _from_row(row: Any) -> tuple[ViolationKey, Occurrences]:
    _, *named, refused, count, first_at, last_at, message, examples = row
    key = ViolationKey._make([*named, bool(refused)])
    return key, Occurrences(count, first_at, last_at, message, json.loads(examples))
