import asyncio
from collections.abc import Iterator

import pytest

from ops.rig import eventually
from ops.runtime import metrics
from ops.runtime.warehouse_errors import WarehouseUnavailable
from schema import Reason
from tests.support.fake_warehouse import FakeWarehouse
from workers.halt import show_halt, wait_for_resume
from workers.jobs import Deadline
from workers.rejection_limit import CountedOutcome, TooManyRejected


@pytest.fixture(autouse=True)
def _no_halt_is_left() -> Iterator[None]:
    yield
    metrics.HALTED.set(0)
    metrics.HALT_REJECTIONS.clear()


def test_a_halt_is_shown_with_source_table_reason_and_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = [CountedOutcome("a", "t" * 200, Reason.TABLE_MISSING)] * 2
    show_halt([TooManyRejected(refused, 10)])
    assert metrics.HALTED._value.get() == 1
    ((sample,),) = (family.samples for family in metrics.HALT_REJECTIONS.collect())
    assert sample.labels == {"source": "a", "table": "t" * 100, "reason": "table_missing"}
    assert sample.value == 2
    logged = capsys.readouterr().err
    assert "2 of source a on table ttt" in logged
    assert "`gatekeeper resume`" in logged


async def test_a_halted_worker_goes_on_after_the_next_resume_alone() -> None:
    warehouse, stop = FakeWarehouse(resumes=3), asyncio.Event()
    waiting = asyncio.create_task(wait_for_resume(warehouse, stop, 0.01))  # type: ignore[arg-type]  # what it calls
    await asyncio.sleep(0.05)
    assert not waiting.done()
    warehouse.resumes = 4
    await asyncio.wait_for(waiting, 60)
    assert not stop.is_set()


async def test_a_halted_worker_stops_and_outlives_a_warehouse_that_is_away() -> None:
    warehouse, stop = FakeWarehouse(), asyncio.Event()
    calls = 0

    async def away(left: Deadline) -> int:
        nonlocal calls
        calls += 1
        assert left() > 0
        raise WarehouseUnavailable("down")

    warehouse.count_resumes = away  # type: ignore[method-assign]
    waiting = asyncio.create_task(wait_for_resume(warehouse, stop, 0.01))  # type: ignore[arg-type]  # what it calls
    await eventually(lambda: calls > 2)
    stop.set()
    await asyncio.wait_for(waiting, 60)
