import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from server.spool import writer as spool_writer
from server.spool.database import SpoolFailed
from server.spool.state import BARRED, EMPTY, HOLDING, Flag
from server.spool.store import Store, Waiting
from server.spool.writer import Writer
from tests.support.processes import eventually


class SlowStore:
    """Keeps what it is given, commit by commit, as soon as it may."""

    def __init__(self) -> None:
        self.commits: list[list[list[bytes]]] = []
        self.open = threading.Event()
        self.open.set()
        self.begun = 0

    def append(self, groups: Sequence[Sequence[Waiting]]) -> list[int]:
        self.begun += 1
        assert self.open.wait(10)
        self.commits.append([[each.message for each in group] for group in groups])
        return [len(group) for group in groups]


def messages(*texts: str) -> list[Any]:
    return [SimpleNamespace(ordering_key="k", SerializeToString=text.encode) for text in texts]


@pytest.fixture
def flag(tmp_path: Path) -> Iterator[Flag]:
    flag = Flag(tmp_path / "flag")
    yield flag
    flag.close()


@pytest.fixture
def store() -> Iterator[SlowStore]:
    store = SlowStore()
    yield store
    store.open.set()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
async def writer(flag: Flag, store: SlowStore, executor: ThreadPoolExecutor) -> Writer:
    return Writer(flag, cast("Store", store), executor)


async def test_what_gathers_during_a_commit_is_the_next_commit(
    writer: Writer, store: SlowStore
) -> None:
    store.open.clear()
    first = asyncio.create_task(writer.append(messages("1")))
    await eventually(lambda: store.begun)
    rest = [asyncio.create_task(writer.append(messages(str(n), "x"))) for n in range(2, 5)]
    await eventually(lambda: len(writer._waiting) == 3)
    store.open.set()

    assert await asyncio.gather(first, *rest) == [1, 2, 2, 2]
    assert store.commits == [[[b"1"]], [[b"2", b"x"], [b"3", b"x"], [b"4", b"x"]]]


async def test_a_disk_that_is_too_slow_is_told_and_what_had_not_begun_is_not_stored(
    writer: Writer, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_writer, "APPEND_SECONDS", 0.5)
    store.open.clear()
    first = asyncio.create_task(writer.append(messages("1")))
    await eventually(lambda: store.begun)
    second = asyncio.create_task(writer.append(messages("2")))
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(each) for each in results] == [SpoolFailed] * 2

    monkeypatch.setattr(spool_writer, "APPEND_SECONDS", 5)
    store.open.set()
    assert await writer.append(messages("3")) == 1
    assert [[b"2"]] not in store.commits


async def test_a_failing_store_does_not_stop_the_next_commit(
    writer: Writer, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store, "append", lambda _: 1 / 0)
        with pytest.raises(SpoolFailed):
            await writer.append(messages("1"))
    assert await writer.append(messages("2")) == 1


async def test_a_barred_spool_takes_nothing(writer: Writer, store: SlowStore, flag: Flag) -> None:
    flag.state = BARRED
    with pytest.raises(SpoolFailed):
        await writer.append(messages("1"))
    assert store.commits == []


async def test_without_a_store_the_flag_is_obeyed_all_the_same(
    flag: Flag, executor: ThreadPoolExecutor
) -> None:
    writer = Writer(flag, "no permission", executor)
    assert not writer.usable
    assert not writer.in_use
    flag.state = HOLDING
    assert writer.in_use
    with pytest.raises(SpoolFailed, match="no permission"):
        await writer.append(messages("1"))


async def test_holding_ends_with_the_flag_with_patience_or_with_a_silent_replayer(
    writer: Writer, flag: Flag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_writer, "HOLD_SECONDS", 30)
    flag.beat()
    flag.state = HOLDING
    held = asyncio.create_task(writer.hold())
    await asyncio.sleep(0.02)
    assert not held.done()
    flag.state = EMPTY
    assert await held is False

    flag.state = HOLDING
    monkeypatch.setattr(flag, "silent_seconds", lambda: 31)
    assert await writer.hold() is True

    monkeypatch.setattr(flag, "silent_seconds", lambda: 0)
    monkeypatch.setattr(spool_writer, "HOLD_SECONDS", 0.02)
    assert await writer.hold() is True
