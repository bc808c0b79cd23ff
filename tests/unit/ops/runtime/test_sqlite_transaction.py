import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from ops.runtime.sqlite_transaction import immediate_transaction


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        opened.execute("PRAGMA foreign_keys=ON")
        opened.execute("CREATE TABLE a (n INTEGER PRIMARY KEY)")
        opened.execute("CREATE TABLE b (n INTEGER REFERENCES a (n) DEFERRABLE INITIALLY DEFERRED)")
        yield opened


def fail_after(db: sqlite3.Connection, sql: str, error: Exception) -> None:
    with immediate_transaction(db):
        db.execute(sql)
        raise error


def rows(db: sqlite3.Connection, table: str) -> int:
    count: int = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count


def test_a_block_is_committed_whole(db: sqlite3.Connection) -> None:
    with immediate_transaction(db):
        db.execute("INSERT INTO a VALUES (1)")
    assert not db.in_transaction
    assert rows(db, "a") == 1


def test_an_error_of_the_block_leaves_nothing(db: sqlite3.Connection) -> None:
    with pytest.raises(ValueError, match="mine"):
        fail_after(db, "INSERT INTO a VALUES (1)", ValueError("mine"))
    assert not db.in_transaction
    assert rows(db, "a") == 0


def test_an_error_of_the_commit_leaves_no_transaction_open(db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError), immediate_transaction(db):
        db.execute("INSERT INTO b VALUES (7)")
    assert not db.in_transaction
    assert rows(db, "b") == 0


def test_an_error_after_which_sqlite_has_ended_the_transaction_is_raised_itself(
    db: sqlite3.Connection,
) -> None:
    # SQLite rolls back by itself when the disk is full.
    with pytest.raises(OSError, match="disk full"):
        fail_after(db, "ROLLBACK", OSError("disk full"))
