"""What has become of replayed transactions: waits for the workers."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from ops.rejections.rejection_ledger import RejectionLedger
from ops.rejections.replay import ReplayDecision
from schema import Rejection
from workers.dedupe import CLOCK_SLACK

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 10.0
"""Each poll is a BigQuery job, which has its price."""


async def outcomes(
    ledger: RejectionLedger, replayed: Sequence[ReplayDecision], since: datetime, seconds: float
) -> AsyncIterator[tuple[ReplayDecision, Rejection | None]]:
    """Yield each that is settled within some seconds: the rejection, None if it was applied.

    `since` is when replaying began, by this machine's clock.
    """
    waiting = list(replayed)
    give_up = time.monotonic() + seconds
    pause = FIRST_PAUSE_SECONDS
    while waiting:
        ids = [each.id for each in waiting]
        rows = await asyncio.to_thread(ledger.look_up, ids, since - CLOCK_SLACK)
        unsettled = []
        for each in waiting:
            settled = rows.get(each.id, {})
            if each.rejected.sha256 in settled:
                yield each, settled[each.rejected.sha256]
            else:
                unsettled.append(each)
        waiting = unsettled
        if (left := give_up - time.monotonic()) <= 0:
            return
        if waiting:
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
