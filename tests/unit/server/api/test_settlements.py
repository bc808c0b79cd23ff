"""Look-ups in threads: bounded in number and in time."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.api import settlements as ledger
from server.api.settlements import Ledger, LedgerUnavailable, Row
from server.api.status import settled
from tests.support.processes import eventually

ROW: Row = {"id": "a", "reason": None}


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(ledger.THREADS) as pool:
        yield pool


async def test_a_slow_warehouse_is_told_as_such_in_time(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "LOOK_UP_SECONDS", 0.05)
    go = threading.Event()

    def look_up(*_: object) -> Sequence[Row]:
        go.wait(30)
        return [ROW]

    with pytest.raises(LedgerUnavailable, match="does not answer"):
        await Ledger(look_up, threads).rows("a", None)
    go.set()


async def test_past_the_places_look_ups_are_refused_and_then_taken_again(
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
        asyncio.create_task(reader.rows("a", "me")) for _ in range(ledger.THREADS + ledger.WAITING)
    ]
    await eventually(lambda: len(inside) == ledger.THREADS)
    with pytest.raises(LedgerUnavailable, match="too many"):
        await reader.rows("a", "me")

    go.set()
    assert await asyncio.gather(*waiting) == [[ROW]] * len(waiting)
    assert await reader.rows("b", None) == [ROW]
    assert inside[-1] == ("b", None)


async def test_a_failure_of_ours_is_not_hidden(threads: ThreadPoolExecutor) -> None:
    def look_up(*_: object) -> Sequence[Row]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Ledger(look_up, threads).rows("a", None)


def test_the_transaction_stands_before_its_conflicts_whatever_the_order() -> None:
    conflict: Row = {"id": "a", "reason": "idempotency_conflict"}
    assert settled([conflict, ROW]) == {"status": 200, **ROW, "conflicts": [conflict]}
    # Where the transaction's own row has expired, what is left of its id is told.
    assert settled([conflict, conflict])["conflicts"] == [conflict]
