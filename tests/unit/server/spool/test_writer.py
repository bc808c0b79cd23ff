import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ops.rig import eventually
from server.publish import SpoolFailed
from server.spool.state import BLOCKED, DRAINING, EMPTY, SpoolFlag
from server.spool.store import KeyedMessage, SpoolStore
from server.spool.writer import SpoolWriter


class SlowStore:
    """Keeps what it is given, commit by commit, as soon as it may."""

    def __init__(self) -> None:
        self.commits: list[list[list[bytes]]] = []
        self.open = threading.Event()
        self.open.set()
        self.begun = 0

    def append(self, groups: Sequence[Sequence[KeyedMessage]]) -> list[int]:
        self.begun += 1
        assert self.open.wait(10)
        self.commits.append([[message for _, message in group] for group in groups])
        return [len(group) for group in groups]


def messages(*texts: str) -> list[Any]:
    return [SimpleNamespace(ordering_key="k", SerializeToString=text.encode) for text in texts]


@pytest.fixture
def store() -> Iterator[SlowStore]:
    store = SlowStore()
    yield store
    store.open.set()


@pytest.fixture
async def writer(flag: SpoolFlag, store: SlowStore, executor: ThreadPoolExecutor) -> SpoolWriter:
    return SpoolWriter(flag, cast("SpoolStore", store), executor)


async def test_what_gathers_during_a_commit_is_the_next_commit(
    writer: SpoolWriter, store: SlowStore
) -> None:
    store.open.clear()
    first = asyncio.create_task(writer.append(messages("1")))
    await eventually(lambda: store.begun)
    rest = [asyncio.create_task(writer.append(messages(str(n), "x"))) for n in range(2, 5)]
    await eventually(lambda: len(writer._commits._waiting) == 3)
    store.open.set()

    assert await asyncio.gather(first, *rest) == [1, 2, 2, 2]
    assert store.commits == [[[b"1"]], [[b"2", b"x"], [b"3", b"x"], [b"4", b"x"]]]


async def test_a_disk_that_is_too_slow_fails_messages_and_later_ones_are_not_stored(
    flag: SpoolFlag, store: SlowStore, executor: ThreadPoolExecutor
) -> None:
    writer = SpoolWriter(flag, cast("SpoolStore", store), executor, append_seconds=0.5)
    store.open.clear()
    first = asyncio.create_task(writer.append(messages("1")))
    await eventually(lambda: store.begun)
    second = asyncio.create_task(writer.append(messages("2")))
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(each) for each in results] == [SpoolFailed] * 2

    store.open.set()
    assert await writer.append(messages("3")) == 1
    assert [[b"2"]] not in store.commits


async def test_a_failing_store_does_not_stop_the_next_commit(
    writer: SpoolWriter, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store, "append", lambda _: 1 / 0)
        with pytest.raises(SpoolFailed):
            await writer.append(messages("1"))
    assert await writer.append(messages("2")) == 1


async def test_a_blocked_spool_takes_nothing(
    writer: SpoolWriter, store: SlowStore, flag: SpoolFlag
) -> None:
    flag.state = BLOCKED
    with pytest.raises(SpoolFailed):
        await writer.append(messages("1"))
    assert store.commits == []


async def test_without_a_store_the_flag_is_obeyed(
    flag: SpoolFlag, executor: ThreadPoolExecutor
) -> None:
    writer = SpoolWriter(flag, "no permission", executor)
    assert await writer.fault(1) == "no permission"
    assert not writer.in_use
    flag.state = DRAINING
    assert writer.in_use
    with pytest.raises(SpoolFailed, match="no permission"):
        await writer.append(messages("1"))


async def test_waiting_for_a_draining_spool_ends_with_the_flag_its_time_or_a_silent_replayer(
    flag: SpoolFlag, store: SlowStore, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient, impatient = (
        SpoolWriter(flag, cast("SpoolStore", store), executor, drain_seconds=seconds)
        for seconds in (30, 0.02)
    )
    flag.heartbeat()
    flag.state = DRAINING
    waiting = asyncio.create_task(patient.wait_while_draining())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    flag.state = EMPTY
    assert await waiting is False

    flag.state = DRAINING
    monkeypatch.setattr(flag, "heartbeat_age", lambda: 31)
    assert await patient.wait_while_draining() is True

    monkeypatch.setattr(flag, "heartbeat_age", lambda: 0)
    assert await impatient.wait_while_draining() is True
