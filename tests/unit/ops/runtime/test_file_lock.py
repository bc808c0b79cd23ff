"""Two handles are two processes to flock(2)."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ops.runtime.file_lock import FileLock


@pytest.fixture
def handles(tmp_path: Path) -> Iterator[tuple[FileLock, FileLock]]:
    with ExitStack() as stack:
        one, other = (stack.enter_context(closing(FileLock(tmp_path / "lock"))) for _ in range(2))
        yield one, other


def test_one_process_has_an_exclusive_lock_until_it_releases_it(
    handles: tuple[FileLock, FileLock],
) -> None:
    one, other = handles
    assert one.try_exclusive()
    assert one.try_exclusive(), "it has the lock already"
    assert not other.try_exclusive()
    one.release()
    other.wait_exclusive()
    assert not one.try_exclusive()


def test_a_lock_ends_with_its_handle(tmp_path: Path) -> None:
    with closing(FileLock(tmp_path / "lock")) as ended:
        assert ended.try_exclusive()
    with closing(FileLock(tmp_path / "lock")) as successor:
        assert successor.try_exclusive()


def test_a_shared_lock_keeps_an_exclusive_one_out(handles: tuple[FileLock, FileLock]) -> None:
    one, other = handles
    assert one.try_exclusive()
    one.wait_shared()
    other.wait_shared()
    assert not one.try_exclusive()
    other.release()
    assert one.try_exclusive()


def test_a_file_is_created_for_its_owner_alone(tmp_path: Path) -> None:
    with closing(FileLock(tmp_path / "lock")):
        assert (tmp_path / "lock").stat().st_mode & 0o77 == 0


def test_a_folder_can_be_locked_and_synced(tmp_path: Path) -> None:
    with closing(FileLock(tmp_path)) as one, closing(FileLock(tmp_path)) as other:
        one.wait_exclusive()
        assert not other.try_exclusive()
        os.fsync(one)
