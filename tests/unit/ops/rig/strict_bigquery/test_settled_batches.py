import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ops.rig.strict_bigquery import SettledBatch
from ops.rig.strict_bigquery.query_job import QueryJob
from ops.rig.strict_bigquery.refusals import ddl_rate
from ops.rig.strict_bigquery.settled_batches import SettledBatches
from schema import LEDGER_COLUMNS

NOW = 1_000_000.0
COLUMNS = [each.name for each in LEDGER_COLUMNS if each.name != "settled_at"]


def row(age: float) -> list[str | None]:
    received = datetime.fromtimestamp(NOW - age, UTC).isoformat()
    own = {"lane": "lane-07", "worker": "worker_01", "received_at": received}
    return [own.get(name) for name in COLUMNS]


def job(rows: list[list[str | None]]) -> QueryJob:
    ledger = {"name": "ledger", "parameterValue": {"value": json.dumps(rows)}}
    query: dict[str, Any] = {"query": "", "queryParameters": [ledger] if rows else []}
    return QueryJob("p", "j", "US", {"query": query}, 0.0)


async def run(batches: SettledBatches, own: QueryJob) -> None:
    own.task = asyncio.create_task(asyncio.sleep(0))
    batches.note(own)
    own.finish()  # which forgets the parameters
    await own.task
    await asyncio.sleep(0)


async def test_a_committed_batch_has_its_lane_its_worker_and_the_age_of_each_transaction() -> None:
    batches = SettledBatches(lambda: NOW)
    await run(batches, job([row(3.0), row(1.5)]))
    assert batches.stored == [SettledBatch(NOW, "worker_01", "lane-07", [3.0, 1.5])]
    batches.reset()
    assert batches.stored == []


@pytest.mark.parametrize("rows", [[row(3.0)], []])
async def test_a_refused_job_and_a_job_without_a_batch_have_none(
    rows: list[list[str | None]],
) -> None:
    batches = SettledBatches(lambda: NOW)
    own = job(rows)
    own.refused = ddl_rate() if rows else None
    await run(batches, own)
    assert batches.stored == []
