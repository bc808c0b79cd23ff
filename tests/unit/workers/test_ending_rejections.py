import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ops.runtime import metrics
from workers.ending_rejections import count_ending
from workers.errors import WarehouseUnavailable
from workers.jobs import Deadline


class ForgetfulWarehouse:
    """A warehouse that fails at first, and then has nine open rejections."""

    def __init__(self) -> None:
        self.days: list[float] = []

    async def count_open_rejections(self, before: datetime, left: Deadline) -> int:
        assert left() > 0
        self.days.append((datetime.now(UTC) - before) / timedelta(days=1))
        if len(self.days) == 1:
            raise WarehouseUnavailable("it does not answer")
        return 9


@pytest.mark.parametrize(("kept", "ending"), [(90, 83), (7, 3.5), (1, 0.5)])
async def test_the_last_days_are_counted_once_a_day(kept: int, ending: float) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    warehouse = ForgetfulWarehouse()
    try:
        with pytest.raises(asyncio.CancelledError):
            await count_ending(warehouse, kept, sleep)  # type: ignore[arg-type]  # has the method
        assert metrics.REJECTIONS_ENDING._value.get() == 9
    finally:
        metrics.REJECTIONS_ENDING.set(0)
    assert slept == [3_600, 86_400, 86_400]
    assert warehouse.days == pytest.approx([ending, ending], abs=0.1)
