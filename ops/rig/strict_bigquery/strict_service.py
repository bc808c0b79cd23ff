"""BigQuery's job methods under the rules; everything else is passed on."""

import asyncio
import random
import time
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web

from ops.rig.strict_bigquery import refusals
from ops.rig.strict_bigquery.billed_bytes import TableSizes
from ops.rig.strict_bigquery.documented_rules import Latency, RuleLimits
from ops.rig.strict_bigquery.embedded_upstream import EmbeddedUpstream
from ops.rig.strict_bigquery.job_registry import JobRegistry
from ops.rig.strict_bigquery.job_runner import JobRunner
from ops.rig.strict_bigquery.no_upstream import NoUpstream
from ops.rig.strict_bigquery.query_job import QueryJob
from ops.rig.strict_bigquery.refusals import Refused
from ops.rig.strict_bigquery.settled_batches import SettledBatches
from ops.rig.strict_bigquery.strict_report import StrictReport
from schema import LANES

_WAIT_MS: Final = 10_000
"""jobs.getQueryResults waits so long: .../docs/reference/rest/v2/jobs/getQueryResults."""


class StrictSetup(NamedTuple):
    """How the strict BigQuery is to behave."""

    upstream: str = ""
    """"host:port"; "" is none."""
    limits: RuleLimits = RuleLimits()
    latency: Latency = Latency()
    table_bytes: float = 0.0
    partitions: int = 1
    lanes: int = LANES
    seed: int | None = None


class StrictBigQuery:
    """The handlers of the API's methods, and what they share."""

    def __init__(self, setup: StrictSetup) -> None:
        self.setup = setup
        self.report = StrictReport()
        self.embedded = EmbeddedUpstream(setup.upstream) if setup.upstream else None
        self.none = NoUpstream(setup.lanes, partitioned=setup.partitions > 1)
        self.settled = SettledBatches()
        behind = self.embedded or self.none
        runner = JobRunner(
            behind,
            limits=setup.limits,
            latency=setup.latency,
            sizes=TableSizes(setup.table_bytes, setup.partitions),
            report=self.report,
            clock=time.monotonic,
            chance=random.Random(setup.seed),  # noqa: S311  # chance, not secrets
        )
        self.jobs = JobRegistry(runner, behind, setup.limits, time.time)

    async def start(self) -> None:
        if self.embedded:
            await self.embedded.start()

    async def stop(self) -> None:
        await self.jobs.stop()
        if self.embedded:
            await self.embedded.stop()

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """jobs.insert."""
        body = await self._body(request)
        given = orjson.loads(body)
        configuration = given.get("configuration") or {}
        if "query" not in configuration or configuration.get("dryRun"):
            return await self._pass(request, body)
        job = self.jobs.submit(request.match_info["project"], given)
        self.settled.note(job)
        return _json(job.as_json())

    async def query(self, request: web.Request) -> web.StreamResponse:
        """jobs.query: the job and the first page of its rows."""
        body = await self._body(request)
        given = orjson.loads(body)
        if given.get("dryRun"):
            return await self._pass(request, body)
        kept = ("query", "queryParameters", "parameterMode", "defaultDataset", "useLegacySql")
        query = {name: given[name] for name in kept if name in given}
        configuration = {"query": query, "labels": given.get("labels") or {}}
        if "jobTimeoutMs" in given:
            configuration["jobTimeoutMs"] = given["jobTimeoutMs"]
        reference = {"location": given.get("location")}
        job = self.jobs.submit(
            request.match_info["project"],
            {"jobReference": reference, "configuration": configuration},
        )
        return await self._rows(job, request, int(given.get("timeoutMs") or _WAIT_MS))

    async def get(self, request: web.Request) -> web.StreamResponse:
        """jobs.get."""
        job = self._find(request)
        return _json(job.as_json()) if job else await self._pass(request, b"")

    async def results(self, request: web.Request) -> web.StreamResponse:
        """jobs.getQueryResults, which waits for the job."""
        job = self._find(request)
        if job is None:
            return await self._pass(request, b"")
        return await self._rows(job, request, int(request.query.get("timeoutMs") or _WAIT_MS))

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """jobs.cancel."""
        job = self._find(request)
        if job is None:
            return await self._pass(request, b"")
        await self.jobs.cancel(job)
        return _json({"kind": "bigquery#jobCancelResponse", "job": job.as_json()})

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Any other method."""
        return await self._pass(request, await request.read())

    def _find(self, request: web.Request) -> QueryJob | None:
        match = request.match_info
        return self.jobs.find(match["project"], match["job"], request.query.get("location", ""))

    async def _body(self, request: web.Request) -> bytes:
        """Return a request's body; raises Refused when it is larger, as sent, than the limit."""
        limits = self.setup.limits
        body = await request.read()
        sent = request.content_length or len(body)
        if limits.in_force("request_bytes") and sent > limits.request_bytes:
            raise refusals.request_too_large(sent, limits.request_bytes)
        return body

    async def _rows(self, job: QueryJob, request: web.Request, wait_ms: int) -> web.Response:
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await job.done.wait()
        except TimeoutError:
            pass
        reference = job.as_json()["jobReference"]
        if not job.done.is_set():
            return _json({"jobComplete": False, "jobReference": reference})
        if job.refused:
            raise job.refused
        if self.embedded is None:
            found = {"jobComplete": True, "totalRows": "0", **self.none.results(job)}
            return _json({**found, "jobReference": reference})
        path = f"/bigquery/v2/projects/{job.project}/queries/{job.id}"
        query = f"?{request.query_string}" if request.method == "GET" else ""
        status, headers, body = await self.embedded.call("GET", path + query)
        return _located(status, headers, body, self.setup.limits.location)

    async def _pass(self, request: web.Request, body: bytes) -> web.Response:
        if self.embedded is None:
            found = self.none.resource(request.path)
            if found is None:
                raise Refused("", "notFound", f"Not found: {request.path}")
            return _located(200, {}, orjson.dumps(found), self.setup.limits.location)
        answer = await self.embedded.call(request.method, request.raw_path, body, request.headers)
        return _located(*answer, self.setup.limits.location)


def _located(status: int, headers: dict[str, str], body: bytes, location: str) -> web.Response:
    """Answer with what the service returned, in the dataset's location."""
    if b'"location"' in body:
        found = orjson.loads(body)
        listed = [*found.get("datasets", ()), *found.get("jobs", ())]
        for each in (found, *listed):
            for part in (each, each.get("jobReference")):
                if isinstance(part, dict) and "location" in part:
                    part["location"] = location
        body = orjson.dumps(found)
    return web.Response(status=status, headers=headers, body=body)


def _json(found: dict[str, Any], status: int = 200) -> web.Response:
    body = orjson.dumps(found)
    return web.Response(status=status, body=body, content_type="application/json")
