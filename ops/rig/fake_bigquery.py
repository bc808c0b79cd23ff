"""`python -m ops.rig.fake_bigquery HOST:PORT`: answers a worker as BigQuery does.

It measures workers, not a warehouse: a batch costs it a few milliseconds, so that many workers can
be measured on two cores, and every job takes `--seconds`. It serves the calls of a worker in steady
state (jobs.insert, jobs.get, jobs.getQueryResults, tables.get, datasets.get), no others. Every
table exists, with the columns of the load. Every job succeeds; there are no conflicts.

`GET /settled` returns the commits so far: the time, the worker and the number of transactions.
"""

import argparse
import asyncio
import json
import time
from typing import Any, Final

import uvloop
from aiohttp import web

from ops.rig.transaction_mix import COLUMNS, TYPES
from ops.runtime import addresses, process
from schema import LANES, LEDGER_COLUMNS, parse_type

_MAX_REQUEST = 64 * 1024 * 1024
_BASE: Final = "/bigquery/v2/projects/{project}"
_WORKER = [column.name for column in LEDGER_COLUMNS if column.name != "settled_at"].index("worker")


def _fields() -> list[dict[str, str]]:
    """Return the columns of the load as tables.get returns them."""
    found = []
    for name, text in zip(COLUMNS, TYPES, strict=True):
        declared = parse_type(text)
        field = {"name": name, "type": declared.base, "mode": "NULLABLE"}
        if declared.bigquery != declared.base:
            field |= {"precision": str(declared.precision), "scale": str(declared.scale)}
        found.append(field)
    return found


class FakeJobs:
    """The jobs so far, by id, with the time when each is done; and the commits, in order."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._done_at: dict[str, float] = {}
        self._heads: set[str] = set()
        """Jobs that read a lane's head."""
        self.settled: list[tuple[float, str, int]] = []
        """(time.monotonic of the commit, worker, transactions)."""

    def insert(self, job: str, sql: str, parameters: list[dict[str, Any]]) -> None:
        """Accept a job; its ledger rows are the transactions that it commits, with their worker."""
        if sql.startswith("SELECT h.epoch"):
            self._heads.add(job)
        at = self._done_at[job] = time.monotonic() + self._seconds
        for parameter in parameters:
            if parameter["name"] == "ledger":
                rows = json.loads(parameter["parameterValue"]["value"])
                self.settled.append((at, rows[0][_WORKER] if rows else "", len(rows)))

    def rows(self, job: str) -> dict[str, Any]:
        """Return the rows of a job's result: of a lane's head one, in which nothing is settled."""
        if job not in self._heads:
            return {}
        kinds = dict.fromkeys(("epoch", "lanes", "attempts"), "INTEGER")
        names = ("epoch", "lanes", "suspect", "attempts", "id", "sha256", "reason", "error")
        values = {"epoch": "0", "lanes": str(LANES)}
        return {
            "totalRows": "1",
            "schema": {
                "fields": [{"name": name, "type": kinds.get(name, "STRING")} for name in names]
            },
            "rows": [{"f": [{"v": values.get(name)} for name in names]}],
        }

    def left(self, job: str) -> float:
        """Return how many seconds a job still takes; raises KeyError for an unknown job."""
        return max(self._done_at[job] - time.monotonic(), 0.0)


_JOBS: Final = web.AppKey("jobs", FakeJobs)


def _resource(request: web.Request, job: str, *, done: bool) -> dict[str, Any]:
    return {
        "kind": "bigquery#job",
        "id": job,
        "jobReference": {"projectId": request.match_info["project"], "jobId": job},
        "configuration": {"jobType": "QUERY", "query": {"query": "", "useLegacySql": False}},
        "status": {"state": "DONE" if done else "RUNNING"},
        "statistics": {"query": {"statementType": "SCRIPT"}},
    }


async def insert(request: web.Request) -> web.Response:
    """jobs.insert."""
    given = await request.json()
    job = given["jobReference"]["jobId"]
    jobs = request.app[_JOBS]
    query = given["configuration"]["query"]
    jobs.insert(job, query["query"], query.get("queryParameters", []))
    return web.json_response(_resource(request, job, done=not jobs.left(job)))


async def get(request: web.Request) -> web.Response:
    """jobs.get."""
    job = request.match_info["job"]
    return web.json_response(_resource(request, job, done=not request.app[_JOBS].left(job)))


async def results(request: web.Request) -> web.Response:
    """jobs.getQueryResults, which waits for the job."""
    job = request.match_info["job"]
    jobs = request.app[_JOBS]
    await asyncio.sleep(jobs.left(job))
    reference = {"projectId": request.match_info["project"], "jobId": job}
    return web.json_response({"jobComplete": True, "jobReference": reference, **jobs.rows(job)})


async def table(request: web.Request) -> web.Response:
    """tables.get: every table exists."""
    part = request.match_info
    reference = {f"{name}Id": part[name] for name in ("project", "dataset", "table")}
    return web.json_response({"tableReference": reference, "schema": {"fields": _fields()}})


async def dataset(request: web.Request) -> web.Response:
    """datasets.get: every dataset exists."""
    part = request.match_info
    reference = {"projectId": part["project"], "datasetId": part["dataset"]}
    return web.json_response({"datasetReference": reference, "location": "US"})


async def settled(request: web.Request) -> web.Response:
    now = time.monotonic()
    return web.json_response([each for each in request.app[_JOBS].settled if each[0] <= now])


def create_app(seconds: float) -> web.Application:
    app = web.Application(client_max_size=_MAX_REQUEST)
    app[_JOBS] = FakeJobs(seconds)
    app.router.add_post(f"{_BASE}/jobs", insert)
    app.router.add_get(f"{_BASE}/jobs/{{job}}", get)
    app.router.add_get(f"{_BASE}/queries/{{job}}", results)
    app.router.add_get(f"{_BASE}/datasets/{{dataset}}/tables/{{table}}", table)
    app.router.add_get(f"{_BASE}/datasets/{{dataset}}", dataset)
    app.router.add_get("/settled", settled)
    return app


async def main(address: str, seconds: float) -> None:
    """Serve until SIGTERM."""
    runner = web.AppRunner(create_app(seconds), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, *addresses.split(address)).start()
    await process.stop_event().wait()
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ops.rig.fake_bigquery", description=__doc__)
    parser.add_argument("address", help="host:port to listen on")
    parser.add_argument("--seconds", type=float, default=0.0, help="a job takes (%(default)s)")
    given = parser.parse_args()
    uvloop.run(main(given.address, given.seconds))
