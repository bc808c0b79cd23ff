"""What BigQuery says when it fails: error bodies, and jobs that it has cancelled over a conflict.

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
_JOB_PATH: Final = re.compile(r"(?P<base>.*/projects/(?P<project>[^/]+))/(?P<kind>jobs|queries)/")


def failure(fault: str) -> web.Response:
    """Return the answer that a request gets instead of its own."""
    code, reason, status, message = _FAILURES[fault]
    return _error(code, reason, status, message)


def plain(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a request's body uncompressed; as it is where that cannot be done."""
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


class Cancelled:
    """The jobs that were answered as cancelled; whoever asks for one later hears the same."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def taken(self, path: str, body: bytes) -> web.Response | None:
        """Answer a submission under the id of one of these jobs; None for any other."""
        project = path.removesuffix("/jobs").rpartition("/")[2]
        match = _JOB_ID.search(body)
        job_id = match[1].decode() if match else ""
        if f"{project}/{job_id}" not in self._jobs:
            return None
        message = f"Already Exists: Job {project}:US.{job_id}"
        return _error(409, "duplicate", "ALREADY_EXISTS", message)

    def cancel(self, path: str, job: dict[str, Any]) -> web.Response:
        """Answer a submission to `…/projects/{project}/jobs`: the job is done, and has failed."""
        base = path.removesuffix("/jobs")
        project = base.rpartition("/")[2]
        job_id = job["jobReference"]["jobId"]
        done = _done(base, project, job)
        self._jobs[f"{project}/{job_id}"] = done
        while len(self._jobs) > REMEMBERED_JOBS:
            self._jobs.popitem(last=False)
        return web.json_response(done)

    def answer(self, method: str, path: str) -> web.Response | None:
        """Answer a request about one of these jobs or its results; None for any other."""
        match = _JOB_PATH.match(path) if self._jobs and method == "GET" else None
        if match is None:
            return None
        job = self._jobs.get(f"{match['project']}/{path[match.end() :]}")
        if job is None:
            return None
        if match["kind"] == "jobs":
            return web.json_response(job)
        message = job["status"]["errorResult"]["message"]
        return _error(400, "invalidQuery", "INVALID_ARGUMENT", message)


def _done(base: str, project: str, job: dict[str, Any]) -> dict[str, Any]:
    job_id = job["jobReference"]["jobId"]
    script = job["configuration"]["query"]["query"]
    tables = _TABLE.findall(script)
    now = time.time_ns()
    message = _CONFLICT.format(table=tables[-1] if tables else "unknown", transaction=now)
    error = {"reason": "invalidQuery", "message": message, "location": "query"}
    moment = str(now // 1_000_000)
    return {
        "kind": "bigquery#job",
        "id": f"{project}:US.{job_id}",
        "selfLink": f"{base}/jobs/{job_id}?location=US",
        "jobReference": {"projectId": project, "jobId": job_id, "location": "US"},
        "configuration": {"jobType": "QUERY", "query": {"query": script, "useLegacySql": False}},
        "status": {"state": "DONE", "errorResult": error, "errors": [error]},
        "statistics": {
            "creationTime": moment,
            "startTime": moment,
            "endTime": moment,
            "totalBytesProcessed": "0",
            "query": {"statementType": "SCRIPT", "totalBytesProcessed": "0"},
        },
        "user_email": "proxy@localhost",
    }


def _error(code: int, reason: str, status: str, message: str) -> web.Response:
    item = {"reason": reason, "message": message, "domain": "global"}
    body = {"error": {"code": code, "message": message, "errors": [item], "status": status}}
    return web.json_response(body, status=code)
