import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.local.pubsub.group_commit import GroupCommit


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "commits.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
    connection.close()
    return path


def open_commits(database: Path) -> GroupCommit:
    return GroupCommit(sqlite3.connect(database, isolation_level=None, check_same_thread=False))


def stored(database: Path) -> list[int]:
    connection = sqlite3.connect(database)
    try:
        return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n")]
    finally:
        connection.close()


def insert(n: int) -> Callable[[sqlite3.Connection], int | None]:
    return lambda c: c.execute("INSERT INTO numbers VALUES (?)", (n,)).lastrowid


async def test_a_write_that_is_done_is_seen_by_others(database: Path) -> None:
    commits = open_commits(database)
    assert await commits.submit(insert(7)) == 7
    assert stored(database) == [7]
    await commits.close()


async def test_callbacks_come_in_the_order_of_submission(database: Path) -> None:
    commits = open_commits(database)
    seen: list[int] = []
    await asyncio.gather(*(commits.submit(insert(n), seen.append) for n in range(1, 1000)))
    assert seen == list(range(1, 1000))
    await commits.close()


async def test_closing_commits_what_is_queued(database: Path) -> None:
    commits = open_commits(database)
    writes = [commits.submit(insert(n)) for n in range(1, 500)]
    await commits.close()
    await asyncio.gather(*writes)
    assert stored(database) == list(range(1, 500))


async def test_a_failed_commit_fails_its_group_and_leaves_nothing(database: Path) -> None:
    commits = open_commits(database)
    running, gate = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        running.set()
        gate.wait(10)

    first = commits.submit(wait)
    await asyncio.to_thread(running.wait, 10)
    group = [commits.submit(insert(1)), commits.submit(insert(1))]
    gate.set()
    await first
    errors = await asyncio.gather(*group, return_exceptions=True)
    assert all(isinstance(error, sqlite3.IntegrityError) for error in errors)
    assert stored(database) == []
    await commits.submit(insert(2))
    assert stored(database) == [2]
    await commits.close()
