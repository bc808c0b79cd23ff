from collections.abc import Iterator
from pathlib import Path

import pytest

from server.spool import replay_lock as spool_lead
from server.spool.replay_lock import Lead
from server.spool.state import Flag


@pytest.fixture
def flag(tmp_path: Path) -> Iterator[Flag]:
    flag = Flag(tmp_path / "flag")
    yield flag
    flag.close()


@pytest.fixture
def leads(tmp_path: Path, flag: Flag) -> Iterator[tuple[Lead, Lead]]:
    """Two claims, as of two processes."""
    both = (Lead(tmp_path, flag), Lead(tmp_path, flag))
    yield both
    for each in both:
        each.close()


def test_one_has_it_until_it_leaves(leads: tuple[Lead, Lead], flag: Flag) -> None:
    one, other = leads
    assert one.take()
    flag.beat()
    assert one.take()
    assert not other.take()
    one.leave()
    assert other.take()


def test_it_goes_with_its_process(tmp_path: Path, flag: Flag) -> None:
    dying = Lead(tmp_path, flag)
    assert dying.take()
    flag.beat()
    dying.close()
    successor = Lead(tmp_path, flag)
    assert successor.take()
    successor.close()


def test_a_suspended_replayer_does_not_hold_the_others_up(
    leads: tuple[Lead, Lead], flag: Flag, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = leads
    assert one.take()
    flag.beat()
    assert not other.take()
    monkeypatch.setattr(spool_lead, "SILENT_SECONDS", 0)
    assert other.take()


def test_a_sign_of_life_from_before_the_machine_restarted_is_none(
    leads: tuple[Lead, Lead], flag: Flag
) -> None:
    one, other = leads
    assert one.take()
    flag._map[8:16] = (2**63).to_bytes(8)  # the clock begins anew at every start
    assert other.take()
