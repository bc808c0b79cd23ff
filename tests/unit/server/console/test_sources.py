import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.console.sources import Seen, Source


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def answered(source: Source[int]) -> Seen[int]:
    asking = source.ask()
    if asking is not None:
        await asking
    return source.seen


def numbers() -> Iterator[int]:
    yield from range(100)


async def test_it_is_asked_at_most_once_in_so_many_seconds(pool: ThreadPoolExecutor) -> None:
    clock, answers = Clock(), numbers()
    source = Source(lambda: next(answers), pool, every=10, patience=5, clock=clock)
    assert source.seen == Seen()
    assert (await answered(source)).value == 0
    clock.now += 9.9
    assert source.ask() is None
    clock.now += 0.1
    assert (await answered(source)).value == 1


async def test_however_many_ask_at_once_it_is_asked_once(pool: ThreadPoolExecutor) -> None:
    answers = numbers()
    source = Source(lambda: next(answers), pool, every=10, patience=5, clock=Clock())
    assert len({id(source.ask()) for _ in range(20)}) == 1
    assert (await answered(source)).value == 0
    assert next(answers) == 1


async def test_an_answer_stands_until_the_version_changes_or_it_has_rested(
    pool: ThreadPoolExecutor,
) -> None:
    clock, answers, version = Clock(), numbers(), [0]
    source = Source(
        lambda: next(answers),
        pool,
        every=10,
        rest=60,
        patience=5,
        version=lambda: version[0],
        clock=clock,
    )
    await answered(source)
    clock.now += 30
    assert source.ask() is None
    version[0] = 1
    assert (await answered(source)).value == 1
    version[0] = 2
    clock.now += 5
    assert source.ask() is None, "not before its time"
    clock.now += 5
    assert (await answered(source)).value == 2
    clock.now += 60
    assert (await answered(source)).value == 3


async def test_a_failure_is_told_in_one_line_and_asked_again_in_time(
    pool: ThreadPoolExecutor,
) -> None:
    clock, answers = Clock(), iter([ConnectionError("away\nfor\na while"), None])

    def read() -> int:
        error = next(answers)
        if error is not None:
            raise error
        return 7

    source = Source(read, pool, every=10, rest=600, patience=5, clock=clock)
    seen = await answered(source)
    assert (seen.value, seen.fault) == (None, "away")
    clock.now += 10
    seen = await answered(source)
    assert (seen.value, seen.fault) == (7, None)


async def test_what_was_known_is_told_until_patience_ends(pool: ThreadPoolExecutor) -> None:
    clock, answers, go = Clock(), numbers(), threading.Event()
    go.set()

    def read() -> int:
        assert go.wait(10)
        return next(answers)

    source = Source(read, pool, every=1, patience=5, clock=clock)
    await answered(source)
    go.clear()
    clock.now += 1
    asking = source.ask()
    assert asking is not None
    clock.now += 4
    assert source.seen.value == 0
    clock.now += 2
    assert (source.seen.value, source.seen.fault) == (None, "no answer for 6 s")
    go.set()
    await asking
    assert source.seen.value == 1


async def test_a_forgotten_question_is_waited_for_no_longer(pool: ThreadPoolExecutor) -> None:
    go = threading.Event()
    source = Source(lambda: go.wait(10), pool, every=1, patience=5)
    asking = source.ask()
    assert asking is not None
    await asyncio.sleep(0)
    source.forget()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert source.seen == Seen()
    go.set()
