"""Look-ups in threads: bounded in number and in time."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from ops.rig import eventually
from server.api import responses
from server.api.status import MAX_WAITING, THREADS, Ledger, Row, combine
from server.http import Refusal

ROW: Row = {"id": "a", "reason": None}


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


def unavailable(why: str) -> AbstractContextManager[object]:
    return pytest.raises(Refusal, check=lambda error: why in str(responses.refused(error).error))


async def test_a_slow_warehouse_is_an_error_in_time(threads: ThreadPoolExecutor) -> None:
    go = threading.Event()

    def look_up(*_: object) -> Sequence[Row]:
        go.wait(30)
        return [ROW]

    with unavailable("does not answer"):
        await Ledger(look_up, threads, seconds=0.05).rows("a", None, "1.1.1.1")
    go.set()


async def test_too_many_look_ups_are_refused_and_later_ones_accepted(
    threads: ThreadPoolExecutor,
) -> None:
    go = threading.Event()
    inside: list[object] = []

    def look_up(*asked: object) -> Sequence[Row]:
        inside.append(asked)
        go.wait(30)
        return [ROW]

    reader = Ledger(look_up, threads)
    waiting = [
        asyncio.create_task(reader.rows("a", "me", f"{number % 2}"))
        for number in range(THREADS + MAX_WAITING)
    ]
    await eventually(lambda: len(inside) == THREADS)
    with unavailable("too many"):
        await reader.rows("a", "me", "2")

    go.set()
    assert await asyncio.gather(*waiting) == [[ROW]] * len(waiting)
    assert await reader.rows("b", None, "0") == [ROW]
    assert inside[-1] == ("b", None)


async def test_a_failure_of_ours_is_not_hidden(threads: ThreadPoolExecutor) -> None:
    def look_up(*_: object) -> Sequence[Row]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Ledger(look_up, threads).rows("a", None, "1.1.1.1")


def test_the_transactions_row_comes_before_its_conflicts_in_any_order() -> None:
    conflict: Row = {"id": "a", "reason": "idempotency_conflict"}
    assert combine([conflict, ROW]) == {"status": 200, **ROW, "conflicts": [conflict]}
    # If the transaction's own row has expired, the conflicts remain.
    assert combine([conflict, conflict])["conflicts"] == [conflict]
