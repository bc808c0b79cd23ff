"""The embedded BigQuery behind the rules: jobs run there, everything else passes."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp
import orjson
from yarl import URL

from ops.rig.strict_bigquery.billed_bytes import Partitioning, TableShape
from ops.rig.strict_bigquery.parsed_script import ParsedStatement
from ops.rig.strict_bigquery.query_job import QueryJob
from ops.rig.strict_bigquery.refusals import Refused
from ops.rig.strict_bigquery.value_types import bare

_POLL_SECONDS: Final = 0.05
_AGAIN_SECONDS: Final = 0.3
_CONFLICT: Final = 409
# The local service closes an idle connection after 5 seconds; no request may meet that.
_IDLE_SECONDS: Final = 2.0
_STANDARD: Final = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_PARTITION_SECONDS: Final = {"HOUR": 3_600, "DAY": 86_400, "MONTH": 2_592_000, "YEAR": 31_536_000}
# https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1, and what a decoded body makes wrong.
_NOT_PASSED: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host"}
    | {"content-length", "content-encoding", "accept-encoding", "date", "server"}
)


class EmbeddedUpstream:
    """A BigQuery at "host:port"."""

    def __init__(self, address: str) -> None:
        self._base = f"http://{address}"
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None),  # the client has its own
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request and return the status, headers and body of its answer."""
        assert self._session is not None, "not started"  # noqa: S101  # `start` comes first
        passed = passed_headers(headers or {"Content-Type": "application/json"})
        url = URL(f"{self._base}{path}", encoded=True)
        async with self._session.request(method, url, data=body or None, headers=passed) as answer:
            return answer.status, passed_headers(answer.headers), await answer.read()

    async def run(self, job: QueryJob, statements: Sequence[ParsedStatement]) -> dict[str, Any]:
        """Run a job to its end; a service that is away is waited for, as the job may have run."""
        del statements
        path = f"/bigquery/v2/projects/{job.project}/jobs"
        # The time limit is kept before this; the embedded service knows one location only.
        configuration = {k: v for k, v in job.configuration.items() if k != "jobTimeoutMs"}
        reference = {"projectId": job.project, "jobId": job.id}
        body = orjson.dumps({"jobReference": reference, "configuration": configuration})
        resource = await self._patiently("POST", path, body)
        while resource.get("status", {}).get("state") != "DONE":
            await asyncio.sleep(_POLL_SECONDS)
            resource = await self._patiently("GET", f"{path}/{job.id}")
        return resource

    async def _patiently(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        """Call until there is an answer; raises Refused for an error. A duplicate is ours."""
        while True:
            try:
                status, _, answer = await self.call(method, path, body)
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if status == _CONFLICT:
                return {}
            found: dict[str, Any] = orjson.loads(answer)
            if "error" in found:
                error = found["error"]
                reason = (error.get("errors") or [{}])[0].get("reason", "invalid")
                raise Refused("", reason, error.get("message", ""))
            return found

    async def cancel(self, job: QueryJob) -> None:
        await self.call("POST", f"/bigquery/v2/projects/{job.project}/jobs/{job.id}/cancel")

    async def shape(self, table: str) -> TableShape | None:
        project, dataset, name = table.split(".", 2)
        path = f"/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{name}"
        try:
            status, _, body = await self.call("GET", path)
        except (aiohttp.ClientError, OSError):
            return None
        return shape_of(orjson.loads(body)) if status == 200 else None  # noqa: PLR2004


def passed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_PASSED}


def shape_of(table: Mapping[str, Any]) -> TableShape:
    """Return the shape in the API's Table."""
    fields = (table.get("schema") or {}).get("fields") or ()
    columns = {
        each["name"].casefold(): _STANDARD.get(each["type"], bare(each["type"]))
        for each in fields
        if each.get("mode") != "REPEATED"
    }
    given = table.get("timePartitioning")
    if not given:
        return TableShape(columns)
    seconds = _PARTITION_SECONDS.get(given.get("type", "DAY"), 86_400)
    return TableShape(columns, Partitioning(given.get("field", "_PARTITIONTIME"), seconds))
