"""The batches of lanes that were committed, read from the `ledger` parameter of their scripts."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from ops.rig.strict_bigquery.query_job import QueryJob
from schema import LEDGER_COLUMNS

_COLUMNS: Final = [each.name for each in LEDGER_COLUMNS if each.name != "settled_at"]
_LANE, _RECEIVED_AT, _WORKER = map(_COLUMNS.index, ("lane", "received_at", "worker"))
_STORED_TRANSACTIONS: Final = 1_000_000


class SettledBatch(NamedTuple):
    """One committed batch: when, in Unix seconds, by which worker, in which lane.

    `ages` has the seconds since the server received each of its transactions.
    """

    at: float
    worker: str
    lane: str
    ages: list[float]


class SettledBatches:
    """All since the last reset, up to `_STORED_TRANSACTIONS`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        self.stored: list[SettledBatch] = []
        self._transactions = 0

    def note(self, job: QueryJob) -> None:
        """Store the batch of a job once that is committed; a job without a batch has none."""
        rows = orjson.loads(job.parameters.get("ledger") or "[]")
        if not rows or job.task is None or self._transactions > _STORED_TRANSACTIONS:
            return
        lane, worker = rows[0][_LANE], rows[0][_WORKER]
        received = [row[_RECEIVED_AT] for row in rows]

        def ended(_: asyncio.Task[None]) -> None:
            if not job.refused:
                now = self._clock()
                ages = [now - datetime.fromisoformat(each).timestamp() for each in received]
                self.stored.append(SettledBatch(now, worker, lane, ages))
                self._transactions += len(ages)

        job.task.add_done_callback(ended)
