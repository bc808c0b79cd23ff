"""BigQuery's answers when it fails: errors, and jobs that a conflict has cancelled.

Reasons and statuses: https://cloud.google.com/bigquery/docs/error-messages; the conflict:
https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency.
"""

import gzip
import json
import re
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

REMEMBERED_JOBS = 10_000

_FAILURES: Final = {
    "too_many": (
        429,
        "rateLimitExceeded",
        "RESOURCE_EXHAUSTED",
        "Exceeded rate limits: too many api requests per user per method for this user_method.",
    ),
    "internal": (
        500,
        "internalError",
        "INTERNAL",
        "An internal error occurred and the request could not be completed.",
    ),
    "unavailable": (
        503,
        "backendError",
        "UNAVAILABLE",
        "The service is currently unavailable. Visit the Cloud Status Dashboard.",
    ),
}
_CONFLICT: Final = (
    "Transaction is aborted due to concurrent update against table {table}. "
    "Transaction ID: {transaction}"
)
_TABLE: Final = re.compile(r"(?:DELETE\s+FROM|INSERT\s+INTO)\s+`([^`]+)`", re.IGNORECASE)
_JOB_ID: Final = re.compile(rb'"jobId"\s*:\s*"([^"]*)"')
_JOB_PATH: Final = re.compile(r".*/projects/(?P<project>[^/]+)/(?P<kind>jobs|queries)/")


def failure(fault: str) -> web.Response:
    """Return the answer of a request that a fault hits."""
    return _error(*_FAILURES[fault])


def plain(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a request's body uncompressed; unchanged if that is not possible."""
    if headers.get("Content-Encoding", "").lower() != "gzip":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return body


def transaction(body: bytes) -> dict[str, Any] | None:
    """Return the job resource of a request that submits a multi-statement transaction."""
    try:
        job: dict[str, Any] = json.loads(body)
        script = job["configuration"]["query"]["query"]
        job["jobReference"]["jobId"]
    except (ValueError, KeyError, TypeError):
        return None
    return job if "BEGIN TRANSACTION" in script.upper() else None


class CancelledJobs:
    """The jobs that were answered as cancelled; every later request for one gets that answer."""

    def __init__(self) -> None:
        self.jobs: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        """By project and job id."""

    def taken(self, path: str, body: bytes) -> web.Response | None:
        """Answer a submission under the id of one of these jobs; None for any other."""
        project = _project(path)
        match = _JOB_ID.search(body)
        job_id = match[1].decode() if match else ""
        if (project, job_id) not in self.jobs:
            return None
        message = f"Already Exists: Job {project}:US.{job_id}"
        return _error(409, "duplicate", "ALREADY_EXISTS", message)

    def cancel(self, path: str, job: dict[str, Any]) -> web.Response:
        """Answer a submission to `…/projects/{project}/jobs`: the job is done, and has failed."""
        done = _done(path, job)
        self.jobs[_project(path), job["jobReference"]["jobId"]] = done
        while len(self.jobs) > REMEMBERED_JOBS:
            self.jobs.popitem(last=False)
        return web.json_response(done)

    def answer(self, method: str, path: str) -> web.Response | None:
        """Answer a request about one of these jobs or its results; None for any other."""
        match = _JOB_PATH.match(path) if self.jobs and method == "GET" else None
        job = self.jobs.get((match["project"], path[match.end() :])) if match else None
        if match is None or job is None:
            return None
        if match["kind"] == "jobs":
            return web.json_response(job)
        message = job["status"]["errorResult"]["message"]
        return _error(400, "invalidQuery", "INVALID_ARGUMENT", message)


def _project(path: str) -> str:
    return path.removesuffix("/jobs").rpartition("/")[2]


def _done(path: str, job: dict[str, Any]) -> dict[str, Any]:
    job_id, project = job["jobReference"]["jobId"], _project(path)
    script = job["configuration"]["query"]["query"]
    table = ["unknown", *_TABLE.findall(script)][-1]
    now = time.time_ns()
    message = _CONFLICT.format(table=table, transaction=now)
    error = {"reason": "invalidQuery", "message": message, "location": "query"}
    return {
        "kind": "bigquery#job",
        "id": f"{project}:US.{job_id}",
        "selfLink": f"{path}/{job_id}?location=US",
        "jobReference": {"projectId": project, "jobId": job_id, "location": "US"},
        "configuration": {"jobType": "QUERY", "query": {"query": script, "useLegacySql": False}},
        "status": {"state": "DONE", "errorResult": error, "errors": [error]},
        "statistics": {
            **dict.fromkeys(("creationTime", "startTime", "endTime"), str(now // 1_000_000)),
            "totalBytesProcessed": "0",
            "query": {"statementType": "SCRIPT", "totalBytesProcessed": "0"},
        },
        "user_email": "proxy@localhost",
    }


def _error(code: int, reason: str, status: str, message: str) -> web.Response:
    item = {"reason": reason, "message": message, "domain": "global"}
    body = {"error": {"code": code, "message": message, "errors": [item], "status": status}}
    return web.json_response(body, status=code)
