"""What a start makes good after a crash: jobs left unfinished, files that nothing names."""

import time

import duckdb
from local_bigquery import errors
from local_bigquery.engine import database
from local_bigquery.jobs import runner, store
from local_bigquery.models import JobStatistics

PATIENCE_SECONDS = 60
REASON = "jobBackendError"
MESSAGE = "The service stopped while the job was running; retry it under a new job id."


def settle_unfinished_jobs() -> int:
    """Fail the jobs that a crash left PENDING or RUNNING, and return how many there were.

    Their clients wait for ever otherwise. The transaction of such a job may have been committed
    just before the crash: as on BigQuery, the error is no promise that nothing happened.
    The reason is the one that BigQuery has for it, HTTP 400, "retry the job with a new jobId":
    https://cloud.google.com/bigquery/docs/error-messages
    """
    unfinished = database.fetch(
        "SELECT project_id, job_id FROM emulator.jobs WHERE state <> 'DONE'"
    )
    for project_id, job_id in unfinished:
        _settle(project_id, job_id)
    return len(unfinished)


def settle_when_possible(project_id: str, job_id: str) -> None:
    """Fail a job of unknown outcome as a crash would have, as soon as that can be written.

    Left undone after `PATIENCE_SECONDS`, for the next start.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        try:
            _settle(project_id, job_id)
        except duckdb.Error:
            time.sleep(0.1)
        else:
            return


def _settle(project_id: str, job_id: str) -> None:
    errors.STATUSES.setdefault(REASON, (400, "FAILED_PRECONDITION"))
    job = runner.get(project_id, job_id)
    failure = errors.BigQueryError(REASON, MESSAGE)
    kind = (job.configuration.jobType or "QUERY").lower()
    statistics = JobStatistics.model_validate({kind: {}})
    store.save(runner._done(job, statistics, failure))  # noqa: SLF001
