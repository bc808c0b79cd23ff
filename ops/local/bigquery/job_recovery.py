"""Fails jobs without a result: those that a crash interrupted, and those that were not recorded."""

import time

import duckdb
from local_bigquery import errors
from local_bigquery.engine import database
from local_bigquery.jobs import runner, store
from local_bigquery.models import JobStatistics

PATIENCE_SECONDS = 60
REASON = "jobBackendError"
MESSAGE = "The service stopped while the job was running; retry it under a new job id."


def fail_unfinished_jobs() -> int:
    """Fail the jobs that a crash left PENDING or RUNNING, and return their number.

    Otherwise their clients wait forever. The transaction of such a job may have been committed just
    before the crash: as on BigQuery, the error does not promise that nothing happened.
    The reason is BigQuery's, HTTP 400, "retry the job with a new jobId":
    https://cloud.google.com/bigquery/docs/error-messages
    """
    unfinished = database.fetch(
        "SELECT project_id, job_id FROM emulator.jobs WHERE state <> 'DONE'"
    )
    for project_id, job_id in unfinished:
        _fail(project_id, job_id)
    return len(unfinished)


def fail_when_possible(project_id: str, job_id: str) -> None:
    """Fail a job of unknown outcome as soon as that can be written.

    After `PATIENCE_SECONDS` it is left for the next start.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        try:
            _fail(project_id, job_id)
        except duckdb.Error:
            time.sleep(0.1)
        else:
            return


def _fail(project_id: str, job_id: str) -> None:
    errors.STATUSES.setdefault(REASON, (400, "FAILED_PRECONDITION"))
    job = runner.get(project_id, job_id)
    failure = errors.BigQueryError(REASON, MESSAGE)
    kind = (job.configuration.jobType or "QUERY").lower()
    statistics = JobStatistics.model_validate({kind: {}})
    store.save(runner._done(job, statistics, failure))  # noqa: SLF001
