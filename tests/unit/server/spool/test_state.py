from collections.abc import Iterator
from pathlib import Path

import pytest

from server.spool.state import ReplayLock, SpoolFlag


@pytest.fixture
def locks(tmp_path: Path, flag: SpoolFlag) -> Iterator[tuple[ReplayLock, ReplayLock]]:
    """Two handles, as of two processes."""
    both = (ReplayLock(tmp_path, flag), ReplayLock(tmp_path, flag))
    yield both
    for each in both:
        each.close()


def test_one_process_replays_until_it_releases_the_lock(
    locks: tuple[ReplayLock, ReplayLock], flag: SpoolFlag
) -> None:
    one, other = locks
    assert one.try_acquire()
    flag.heartbeat()
    assert one.try_acquire()
    assert not other.try_acquire()
    one.release()
    assert other.try_acquire()


def test_the_lock_ends_with_its_process(tmp_path: Path, flag: SpoolFlag) -> None:
    dying = ReplayLock(tmp_path, flag)
    assert dying.try_acquire()
    flag.heartbeat()
    dying.close()
    successor = ReplayLock(tmp_path, flag)
    assert successor.try_acquire()
    successor.close()


def test_a_suspended_replayer_does_not_hold_the_others_up(
    tmp_path: Path, locks: tuple[ReplayLock, ReplayLock], flag: SpoolFlag
) -> None:
    one, other = locks
    assert one.try_acquire()
    flag.heartbeat()
    assert not other.try_acquire()
    impatient = ReplayLock(tmp_path, flag, silent_seconds=0)
    assert impatient.try_acquire()
    impatient.close()


def test_a_heartbeat_from_before_the_machine_restarted_does_not_count(
    locks: tuple[ReplayLock, ReplayLock], flag: SpoolFlag
) -> None:
    one, other = locks
    assert one.try_acquire()
    flag._map[8:16] = (2**63).to_bytes(8)  # the clock restarts with the machine
    assert other.try_acquire()
