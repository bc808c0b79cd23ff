import asyncio
import threading
from typing import Any, cast

import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery
from prometheus_client import REGISTRY

from ops.runtime.warehouse_errors import Conflicted, OutcomeUnknown
from workers.jobs import CONTENDERS, LONGEST_WAIT, RECENT_JOBS, SHORTEST_FIRST_WAIT, JobLimits, Jobs

LANES = 24
"""More than asyncio has threads on a machine with fewer than 20 cores."""


class Rendezvous:
    """A BigQuery whose queries end when `LANES` of them are under way."""

    def __init__(self) -> None:
        self._all = threading.Barrier(LANES, timeout=10)

    def get_dataset(self, *_: object, **__: object) -> bigquery.Dataset:
        return bigquery.Dataset("p.d")

    def query(self, *_: object, **__: object) -> "Rendezvous":
        return self

    def result(self, **_: object) -> list[dict[str, Any]]:
        self._all.wait()
        return [{"n": 1}]


async def test_as_many_jobs_run_side_by_side_as_are_allowed_whatever_the_cores() -> None:
    client = cast("bigquery.Client", Rendezvous())
    jobs = Jobs(client, "p.d", {}, JobLimits(parallel=LANES))
    found = await asyncio.gather(*(jobs.run("SELECT 1", {}, lambda: 60) for _ in range(LANES)))
    assert found == [[{"n": 1}]] * LANES


class LongJob(Rendezvous):
    """A BigQuery whose job runs for several requests."""

    def __init__(self, requests: int) -> None:
        self.submitted = 0
        self._left = requests

    def query(self, *_: object, **__: object) -> "LongJob":
        self.submitted += 1
        return self

    def cancel_job(self, *_: object, **__: object) -> None:
        self.submitted = 0

    def result(self, **_: object) -> list[dict[str, Any]]:
        self._left -= 1
        if self._left:
            raise TimeoutError
        return [{"n": 1}]


def _unknown_outcomes() -> float:
    return REGISTRY.get_sample_value("gatekeeper_unknown_outcomes_total") or 0.0


async def test_a_job_that_outlasts_a_request_is_waited_for_and_not_submitted_again() -> None:
    long, before = LongJob(4), _unknown_outcomes()
    jobs = Jobs(cast("bigquery.Client", long), "p.d", {}, JobLimits())
    assert await jobs.run("SELECT 1", {}, lambda: 60) == [{"n": 1}]
    assert long.submitted == 1
    assert _unknown_outcomes() == before


async def test_a_job_that_outlasts_its_time_is_cancelled_and_its_outcome_unknown() -> None:
    long = LongJob(1_000)
    jobs = Jobs(cast("bigquery.Client", long), "p.d", {}, JobLimits(seconds=0.0, grace=0.0))
    with pytest.raises(OutcomeUnknown):
        await jobs.run("SELECT 1", {}, lambda: 60)
    assert long.submitted == 0


class BusyTable(Rendezvous):
    """A BigQuery whose jobs take `seconds` of its clock, and conflict after the first one."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now, self.submitted = seconds, 0.0, 0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def query(self, *_: object, **__: object) -> "BusyTable":
        self.submitted += 1
        return self

    def result(self, **_: object) -> list[dict[str, Any]]:
        self.now += self.seconds
        if self.submitted > 1:
            raise BadRequest("Transaction is aborted due to concurrent update against table t")
        return []


@pytest.mark.parametrize("seconds", [0.01, 8.0])
async def test_the_pause_after_a_conflict_goes_with_how_long_jobs_take(seconds: float) -> None:
    table = BusyTable(seconds)
    client = cast("bigquery.Client", table)
    limits = JobLimits(conflict_attempts=100)
    jobs = Jobs(client, "p.d", {}, limits, clock=table.clock, sleep=table.sleep)
    for _ in range(RECENT_JOBS):
        table.submitted = 0
        await jobs.run("SELECT 1", {}, lambda: 60)
    for _ in range(20):
        with pytest.raises(Conflicted):
            await jobs.run("SELECT 1", {}, lambda: 60)
    firsts = table.pauses[::99]
    assert len(table.pauses) == 20 * 99
    assert max(firsts) <= max(seconds, SHORTEST_FIRST_WAIT)
    assert (max(firsts) > 1) == (seconds > 1)
    longest = max(LONGEST_WAIT, CONTENDERS * seconds)
    assert longest / 2 < max(table.pauses) <= longest
