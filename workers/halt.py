"""A halted worker: how it shows that it has halted, and how it goes on.

supervisord would start a process that ended again, with an empty window: each life would reject
some more. So a halted worker stays, and shows its state by its metrics, which cross machines. It
goes on when an operator runs `gatekeeper resume`, which adds a row to a table in the dataset: all
workers on all machines reach that, and nothing but a grant that the operator has can change it.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from ops.runtime import log, metrics
from ops.runtime.warehouse_errors import OutcomeUnknown, WarehouseUnavailable
from workers.rejection_limit import TooManyRejected
from workers.warehouse import Warehouse

REMEDY = (
    "nothing is lost; list the rejections with `gatekeeper deadletter list`, repair the set-up "
    "(docs/runbook.md#gatekeeperworkerhalted), then run `gatekeeper resume`"
)
POLL_SECONDS = 10.0
_QUERY_SECONDS = 20.0
_LONGEST_LABEL = 100

logger = log.get(__name__)


def show_halt(errors: Sequence[BaseException]) -> None:
    """Set the metrics and log the reason."""
    for error in errors:
        if isinstance(error, TooManyRejected):
            for each, count in error.most_frequent:
                metrics.HALT_REJECTIONS.labels(
                    source=each.source[:_LONGEST_LABEL],
                    table=each.table[:_LONGEST_LABEL],
                    reason=str(each.reason),
                ).set(count)
    metrics.HALTED.set(1)
    reason = "; ".join(map(str, errors))
    logger.error("halted", reason=reason, remedy=REMEDY)


async def wait_for_resume(warehouse: Warehouse, stop: asyncio.Event, poll_seconds: float) -> None:
    """Return when `gatekeeper resume` has been run since the call, or `stop` is set."""
    before: int | None = None
    while not stop.is_set():
        count = await _count(warehouse)
        if before is not None and count is not None and count > before:
            logger.info("resumed")
            return
        before = count if before is None else before
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), poll_seconds)


async def _count(warehouse: Warehouse) -> int | None:
    deadline = asyncio.get_running_loop().time() + _QUERY_SECONDS
    try:
        return await warehouse.count_resumes(lambda: deadline - asyncio.get_running_loop().time())
    except (WarehouseUnavailable, OutcomeUnknown) as error:
        logger.warning("resume_not_read", error=str(error))
        return None
