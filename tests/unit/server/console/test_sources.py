import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.console.sources import CachedSource, LatestResult
from tests.support.fake_clock import FakeClock


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def answered(source: CachedSource[int]) -> LatestResult[int]:
    query = source.refresh()
    if query is not None:
        await query
    return source.latest


def numbers() -> Iterator[int]:
    yield from range(100)


async def test_it_is_queried_once_in_its_minimum_age_at_most(pool: ThreadPoolExecutor) -> None:
    clock, answers = FakeClock(100.0), numbers()
    source = CachedSource(lambda: next(answers), pool, min_age=10, timeout=5, clock=clock)
    assert source.latest == LatestResult()
    assert (await answered(source)).value == 0
    clock.now += 9.9
    assert source.refresh() is None
    clock.now += 0.1
    assert (await answered(source)).value == 1


async def test_refreshes_at_the_same_time_share_one_query(pool: ThreadPoolExecutor) -> None:
    answers = numbers()
    source = CachedSource(
        lambda: next(answers), pool, min_age=10, timeout=5, clock=FakeClock(100.0)
    )
    assert len({id(source.refresh()) for _ in range(20)}) == 1
    assert (await answered(source)).value == 0
    assert next(answers) == 1


async def test_a_value_is_kept_until_the_version_changes_or_its_maximum_age(
    pool: ThreadPoolExecutor,
) -> None:
    clock, answers, version = FakeClock(100.0), numbers(), [0]
    source = CachedSource(
        lambda: next(answers),
        pool,
        min_age=10,
        max_age=60,
        timeout=5,
        version=lambda: version[0],
        clock=clock,
    )
    await answered(source)
    clock.now += 30
    assert source.refresh() is None
    version[0] = 1
    assert (await answered(source)).value == 1
    version[0] = 2
    clock.now += 5
    assert source.refresh() is None, "not before its time"
    clock.now += 5
    assert (await answered(source)).value == 2
    clock.now += 60
    assert (await answered(source)).value == 3


async def test_an_expired_value_is_read_again_before_its_time(pool: ThreadPoolExecutor) -> None:
    clock, answers = FakeClock(100.0), numbers()
    source = CachedSource(lambda: next(answers), pool, min_age=10, timeout=5, clock=clock)
    await answered(source)
    source.expire()
    assert (await answered(source)).value == 1
    assert source.refresh() is None


async def test_a_failure_is_one_line_and_is_queried_again_in_time(
    pool: ThreadPoolExecutor,
) -> None:
    clock, answers = FakeClock(100.0), iter([ConnectionError("away\nfor\na while"), None])

    def read() -> int:
        error = next(answers)
        if error is not None:
            raise error
        return 7

    source = CachedSource(read, pool, min_age=10, max_age=600, timeout=5, clock=clock)
    latest = await answered(source)
    assert latest[:2] == (None, "away")
    clock.now += 10
    latest = await answered(source)
    assert latest[:2] == (7, None)


async def test_the_previous_value_is_shown_until_the_timeout(pool: ThreadPoolExecutor) -> None:
    clock, answers, go = FakeClock(100.0), numbers(), threading.Event()
    go.set()

    def read() -> int:
        assert go.wait(10)
        return next(answers)

    source = CachedSource(read, pool, min_age=1, timeout=5, clock=clock)
    await answered(source)
    go.clear()
    clock.now += 1
    query = source.refresh()
    assert query is not None
    clock.now += 4
    assert source.latest.value == 0
    clock.now += 2
    assert source.latest[:2] == (None, "no answer for 6 s")
    go.set()
    await query
    assert source.latest.value == 1


async def test_a_cancelled_query_is_waited_for_no_longer(pool: ThreadPoolExecutor) -> None:
    go = threading.Event()
    source = CachedSource(lambda: go.wait(10), pool, min_age=1, timeout=5)
    query = source.refresh()
    assert query is not None
    await asyncio.sleep(0)
    source.cancel()
    with pytest.raises(asyncio.CancelledError):
        await query
    assert source.latest == LatestResult()
    go.set()
