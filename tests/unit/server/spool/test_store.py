"""The store: two handles of it are two processes to SQLite."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.fleet.config import ROOT
from ops.rig import wait_until
from server.publish import SpoolFailed
from server.spool.database import FILE
from server.spool.state import BLOCKED, DRAINING, EMPTY, SPOOLING, SpoolFlag
from server.spool.store import ROW_BYTES, KeyedMessage, SpoolStore, SpoolSummary, read_summary

BIG = 10_000_000

type Open = Callable[..., SpoolStore]


@pytest.fixture
def opened(tmp_path: Path, flag: SpoolFlag) -> Iterator[Open]:
    with contextlib.ExitStack() as stack:

        def open_(max_bytes: int = BIG, **options: Any) -> SpoolStore:
            store = SpoolStore(tmp_path, flag, max_bytes, **options)
            stack.callback(store.close)
            return store

        yield open_


def waiting(*texts: str, key: str = "k") -> list[KeyedMessage]:
    return [(key, text.encode()) for text in texts]


def read(store: SpoolStore) -> list[str]:
    return [row.message.decode() for row in store.read(1_000, BIG)]


def test_what_two_processes_append_is_read_in_the_order_of_their_commits(opened: Open) -> None:
    one, other = opened(), opened()
    one.append([waiting("1", "2"), waiting("3", key="l")])
    other.append([waiting("4")])
    one.append([waiting("5")])

    assert read(other) == read(one) == ["1", "2", "3", "4", "5"]
    assert [row.key for row in one.read(3, BIG)] == ["k", "k", "l"]
    sequences = [row.sequence for row in one.read(9, BIG)]
    assert sequences == sorted(sequences)


def test_it_outlives_its_processes(opened: Open, tmp_path: Path, flag: SpoolFlag) -> None:
    store = SpoolStore(tmp_path, flag, BIG)
    store.append([waiting("1")])
    store.close()
    assert read(opened()) == ["1"]


def test_reading_stops_at_its_limits_but_returns_one_message_at_least(opened: Open) -> None:
    store = opened()
    store.append([waiting("a" * 100, "b" * 100, "c")])
    assert len(store.read(2, BIG)) == 2
    assert len(store.read(9, 150)) == 1
    assert len(store.read(9, 1)) == 1


def test_a_group_is_stored_from_its_beginning_as_far_as_there_is_room(opened: Open) -> None:
    store = opened(3 * (ROW_BYTES + 2))
    assert store.append([waiting("1", "2" * 1_000, "3"), waiting("4", "5", "6")]) == [1, 2]
    assert store.append([waiting("7")]) == [0]
    assert read(store) == ["1", "4", "5"]

    store.settle([1], [])
    assert store.append([waiting("8", "9")]) == [1]


def test_the_bound_holds_over_all_processes(opened: Open) -> None:
    one, other = (opened(2 * (ROW_BYTES + 2)) for _ in range(2))
    assert one.append([waiting("1")]) == [1]
    assert other.append([waiting("2", "3")]) == [1]


def test_totals_follow_every_change(opened: Open) -> None:
    store = opened()
    assert store.totals() == (0, 0, None)
    store.append([waiting("1", "2", "3")])
    messages, size, oldest = store.totals()
    assert (messages, size) == (3, 3 * (ROW_BYTES + 2))
    assert oldest is not None
    store.settle([1, 2, 77], [(3, "no")])
    assert store.totals() == (0, 0, None)
    store.settle([1], [])
    assert store.totals() == (0, 0, None)


def test_what_pubsub_refuses_is_kept_aside_with_the_reason_and_counts(
    opened: Open, tmp_path: Path
) -> None:
    store = opened(2 * (ROW_BYTES + 2))
    store.append([waiting("good", "bad")[1:]])
    (row,) = store.read(9, BIG)
    store.settle([], [(row.sequence, "INVALID_ARGUMENT: no")])

    assert read(store) == []
    assert store.clear_if_empty()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as db:
        kept = db.execute("SELECT ordering_key, message, error FROM refused").fetchall()
    assert kept == [("k", b"bad", "INVALID_ARGUMENT: no")]
    assert store.append([waiting("12345678901234567890123456789012345678901234567890" * 9)]) == [0]


def test_the_flag_is_set_when_a_message_is_stored_and_seen_by_other_processes(
    opened: Open, tmp_path: Path, flag: SpoolFlag
) -> None:
    store = opened()
    other = SpoolFlag(tmp_path / "flag")
    assert other.state == EMPTY
    store.append([waiting("1")])
    assert (flag.state, other.state) == (SPOOLING, SPOOLING)
    other.close()


def test_what_is_not_stored_leaves_the_flag_alone(opened: Open, flag: SpoolFlag) -> None:
    assert opened(10).append([waiting("1")]) == [0]
    assert flag.state == EMPTY


def test_the_flag_is_cleared_only_when_nothing_is_stored(opened: Open, flag: SpoolFlag) -> None:
    one, other = opened(), opened()
    one.append([waiting("1")])
    assert not other.clear_if_empty()
    assert flag.state == SPOOLING
    one.settle([1], [])
    assert flag.state == SPOOLING
    assert other.clear_if_empty()
    assert flag.state == EMPTY


def test_no_process_clears_the_flag_while_another_is_storing(opened: Open, flag: SpoolFlag) -> None:
    one, other = opened(), opened(busy_seconds=0.02)
    flag.state = SPOOLING
    with one._db.writing():
        one._db.connection.execute("INSERT INTO messages VALUES (1, 'k', 'm', 1, 0)")
        with pytest.raises(SpoolFailed, match="locked"):
            other.clear_if_empty()
    assert not other.clear_if_empty()
    assert flag.state == SPOOLING


def test_an_empty_spools_flag_stays_as_it_is(opened: Open, flag: SpoolFlag) -> None:
    store = opened()
    store.mark(BLOCKED)
    assert flag.state == EMPTY
    store.append([waiting("1")])
    for state in (DRAINING, BLOCKED, SPOOLING):
        store.mark(state)
        assert flag.state == state
        store.append([waiting("2")])
        assert flag.state == state


def test_a_flag_that_a_power_failure_set_back_is_set_when_a_server_starts(
    opened: Open, flag: SpoolFlag
) -> None:
    opened().append([waiting("1")])
    flag.state = EMPTY
    opened()
    assert flag.state == SPOOLING


def test_an_append_that_fails_stores_nothing_and_the_next_one_works(opened: Open) -> None:
    store = opened()
    store.append([waiting("1")])
    pages = store._db.value("PRAGMA page_count")
    store._db.connection.execute(f"PRAGMA max_page_count={pages}")  # as a full disk
    with pytest.raises(SpoolFailed, match="full"):
        store.append([waiting("x" * 100_000)])
    assert read(store) == ["1"]
    store._db.connection.execute("PRAGMA max_page_count=1000000")
    store.append([waiting("2")])
    assert read(store) == ["1", "2"]


def test_the_last_of_a_disk_is_left_for_deleting(opened: Open, flag: SpoolFlag) -> None:
    opened().append([waiting("1")])
    store = opened(reserve_bytes=10**18)
    with pytest.raises(SpoolFailed, match="free on the disk"):
        store.append([waiting("2")])
    store.settle([1], [])
    assert store.clear_if_empty()
    assert flag.state == EMPTY


def test_a_corrupt_file_is_moved_aside_by_a_process_that_has_it_alone(
    opened: Open, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_bytes(b"not a database" * 1_000)
    store = opened()
    assert store.append([waiting("1")]) == [1]
    (kept,) = tmp_path.glob(f"{FILE}.corrupt-*")
    assert kept.read_bytes().startswith(b"not a database")


def test_a_page_that_is_damaged_is_found_at_start(
    opened: Open, tmp_path: Path, flag: SpoolFlag
) -> None:
    store = SpoolStore(tmp_path, flag, BIG)
    store.append([waiting(*(str(n) * 3_000 for n in range(50)))])
    store.close()
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(4096 * 4)
        file.write(b"\xff" * 4096 * 3)
    assert read(opened()) == []
    assert list(tmp_path.glob(f"{FILE}.corrupt-*"))


def test_a_corrupt_file_that_another_process_uses_is_left_to_it(
    opened: Open, tmp_path: Path, flag: SpoolFlag
) -> None:
    opened()
    (tmp_path / f"{FILE}-wal").unlink()
    (tmp_path / FILE).write_bytes(b"not a database" * 1_000)
    with pytest.raises(SpoolFailed):
        SpoolStore(tmp_path, flag, BIG)
    assert not list(tmp_path.glob(f"{FILE}.corrupt-*"))


def test_an_emptied_spool_gives_its_room_back(opened: Open, tmp_path: Path) -> None:
    store = opened()
    for _ in range(10):
        store.append([waiting(*("x" * 10_000 for _ in range(30)))])
    store.settle([row.sequence for row in store.read(1_000, BIG)], [])
    store.clear_if_empty()
    store.shrink()
    assert (tmp_path / FILE).stat().st_size < 100_000
    assert store.append([waiting("1")]) == [1]


def test_giving_room_back_makes_way_for_a_process_that_stores(opened: Open, tmp_path: Path) -> None:
    store = opened()
    store.append([waiting(*("x" * 10_000 for _ in range(300)))])
    store.settle([row.sequence for row in store.read(1_000, BIG)], [])
    store.clear_if_empty()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.shrink()
        assert other.execute("PRAGMA freelist_count").fetchone()[0] > 0
        other.execute("ROLLBACK")
    store.shrink()
    assert (tmp_path / FILE).stat().st_size < 100_000


def test_a_summary_is_read_without_changing_anything(opened: Open, tmp_path: Path) -> None:
    file = tmp_path / FILE
    assert read_summary(tmp_path, 1) is None
    store = opened()
    assert read_summary(tmp_path, 1) == SpoolSummary(file, 0, 0, 0)
    store.append([waiting("1", "2")])
    store.settle([], [(1, "no")])
    assert read_summary(tmp_path, 1) == SpoolSummary(file, 1, ROW_BYTES + 2, 1)


def test_a_summary_of_a_damaged_spool_names_the_file(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(SpoolFailed, match=f"{FILE}: file is not a database"):
        read_summary(tmp_path, 1)


_WRITER = """
import sys
from pathlib import Path
from server.spool.store import SpoolStore
from server.spool.state import SpoolFlag
folder = Path(sys.argv[1])
store = SpoolStore(folder, SpoolFlag(folder / "flag"), 10**9)
number = 0
while True:
    group = [("k", b"%d" % n) for n in range(number, number + 7)]
    store.append([group])
    number += 7
    print(number, flush=True)
"""


def test_what_was_stored_before_a_kill_is_there_and_nothing_else_is_halved(
    opened: Open, tmp_path: Path, flag: SpoolFlag
) -> None:
    for round_ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        try:
            reported = [int(writer.stdout.readline()) for _ in range(5 + 20 * round_)]
        finally:
            os.kill(writer.pid, signal.SIGKILL)
            rest = writer.stdout.read().split()
            writer.stdout.close()
            writer.wait()
        known = int(rest[-1]) if rest else reported[-1]

        assert flag.state == SPOOLING
        store = opened()
        rows = store.read(1_000_000, BIG)
        numbers = [int(row.message) for row in rows]
        assert numbers == list(range(len(numbers)))
        assert known <= len(numbers) <= known + 7
        assert len(numbers) % 7 == 0
        assert store.totals().messages == len(numbers)
        store.settle([row.sequence for row in rows], [])
        assert wait_until(store.clear_if_empty)
