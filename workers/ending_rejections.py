"""Counts, once a day, the open rejections that BigQuery will delete soon: for an alert."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from ops.runtime import log, metrics
from workers.errors import OutcomeUnknown, WarehouseRejected, WarehouseUnavailable
from workers.warehouse import Warehouse

FIRST_SECONDS = 3_600.0
"""A worker that restarts often does not count each time: BigQuery bills 10 MB for each lane."""
EVERY_SECONDS = 86_400.0
LAST_DAYS = 7
_QUERY_SECONDS = 60.0

logger = log.get(__name__)


async def count_ending(
    warehouse: Warehouse,
    rejected_days: int,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Set the metric, until it is cancelled. A failure is logged, and the number before stays."""
    pause = FIRST_SECONDS
    while True:
        await sleep(pause)
        pause = EVERY_SECONDS
        last = min(LAST_DAYS, rejected_days / 2)
        before = datetime.now(UTC) - timedelta(days=rejected_days - last)
        try:
            metrics.REJECTIONS_ENDING.set(await _count(warehouse, before))
        except (WarehouseUnavailable, WarehouseRejected, OutcomeUnknown) as error:
            logger.warning("ending_rejections_unknown", error=str(error))


async def _count(warehouse: Warehouse, before: datetime) -> int:
    clock = asyncio.get_running_loop().time
    deadline = clock() + _QUERY_SECONDS
    return await warehouse.count_open_rejections(before, lambda: deadline - clock())
