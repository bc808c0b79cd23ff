import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ops.rig import eventually
from ops.runtime.batched_commit import BatchedCommit


class SlowCommit:
    """Doubles numbers, as soon as it may; 0 fails."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = threading.Event()
        self.begun = 0

    def __call__(self, items: list[int]) -> list[float]:
        self.begun += 1
        assert self.open.wait(10)
        self.batches.append(items)
        return [2 * each / abs(each) * abs(each) for each in items]


@pytest.fixture
def slow() -> Iterator[SlowCommit]:
    slow = SlowCommit()
    yield slow
    slow.open.set()


@pytest.fixture
def executor(slow: SlowCommit) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor
        slow.open.set()


async def test_what_gathers_during_a_commit_is_the_next_one_without_what_was_cancelled(
    slow: SlowCommit, executor: ThreadPoolExecutor
) -> None:
    commits = BatchedCommit(slow, executor)
    first = commits.add(1)
    await eventually(lambda: slow.begun)
    second, cancelled, third = commits.add(2), commits.add(3), commits.add(4)
    cancelled.cancel()
    slow.open.set()
    results = await asyncio.gather(first, second, third)
    assert list(results) == [2, 4, 8]
    assert slow.batches == [[1], [2, 4]]


async def test_an_error_is_of_all_in_its_commit_and_of_no_other(
    slow: SlowCommit, executor: ThreadPoolExecutor
) -> None:
    commits = BatchedCommit(slow, executor)
    slow.open.set()
    failed = await asyncio.gather(commits.add(1), commits.add(0), return_exceptions=True)
    assert [type(each) for each in failed] == [ZeroDivisionError] * 2
    assert await commits.add(5) == 10


async def test_closing_waits_for_all_that_was_added(
    slow: SlowCommit, executor: ThreadPoolExecutor
) -> None:
    commits = BatchedCommit(slow, executor)
    await commits.close()
    added = [commits.add(1), commits.add(2)]
    slow.open.set()
    await commits.close()
    assert [each.result() for each in added] == [2.0, 4.0]
