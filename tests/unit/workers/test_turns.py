import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deliveries import delete, delivery, entry, insert, number
from tests.support.holder import forever, never, start_holder
from tests.support.processes import Service
from workers.claims import Unclaimed
from workers.entry import decode
from workers.turns import Turns, tables


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[Turns]:
    opened = Turns(tmp_path / "turns")
    yield opened
    opened.close()


def holder(tmp_path: Path, *changed: str) -> Service:
    """Return another process that has its turn at tables: `name:alone` or `name:shared`."""
    changes = "{name: alone == 'alone' for name, alone in (a.split(':') for a in words)}"
    held = f"Turns(pathlib.Path(path)).held({changes}, lambda: 10)"
    return start_holder(tmp_path / "turns", held, *changed)


async def test_a_table_that_another_worker_deletes_from_is_waited_for(
    turns: Turns, tmp_path: Path
) -> None:
    other = holder(tmp_path, "a:alone")
    for alone in (True, False):
        with pytest.raises(Unclaimed):
            async with turns.held({"a": alone}, never):
                pass
    async with turns.held({"b": True}, never):
        pass

    async def held() -> None:
        async with turns.held({"a": True, "b": True}, forever):
            pass

    waiting = asyncio.create_task(held())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    other.kill()
    await asyncio.wait_for(waiting, 10)


async def test_whoever_has_waited_for_long_goes_on_without(
    turns: Turns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.turns.PATIENCE_SECONDS", 0.05)
    other = holder(tmp_path, "a:alone")
    async with turns.held({"a": True, "b": True}, forever):
        pass
    other.kill()


async def test_inserts_share_a_table_and_a_delete_does_not(turns: Turns, tmp_path: Path) -> None:
    other = holder(tmp_path, "a:shared")
    async with turns.held({"a": False}, never):
        pass
    with pytest.raises(Unclaimed):
        async with turns.held({"a": True}, never):
            pass
    other.kill()


async def test_a_turn_that_was_not_had_in_time_leaves_nothing_held(
    turns: Turns, tmp_path: Path
) -> None:
    first = holder(tmp_path, "b:alone")
    with pytest.raises(Unclaimed):
        async with turns.held({"a": True, "b": True}, never):
            pass
    (tmp_path / "turns.held").unlink()  # a moment
    second = holder(tmp_path, "a:alone")  # it would wait if this process still had `a`
    first.kill()
    second.kill()


def test_the_tables_of_a_batch_are_those_of_its_transactions() -> None:
    entries = [
        entry(insert("a", n=number(1)), insert("b", n=number(1))),
        entry(delete("b", n=number(1))),
        entry(insert("b", n=number(1))),
        decode(delivery(b"nothing")),
    ]
    assert tables(entries) == {"a": False, "b": True}
