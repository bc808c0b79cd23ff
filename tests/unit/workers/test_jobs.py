import asyncio
import threading
from typing import Any, cast

from google.cloud import bigquery

from workers.jobs import JobLimits, Jobs

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
