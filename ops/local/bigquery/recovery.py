"""What a start makes good after a crash: jobs left unfinished, files that nothing names."""

from local_bigquery import errors
from local_bigquery.engine import database
from local_bigquery.jobs import runner, store
from local_bigquery.models import JobStatistics

REASON = "jobBackendError"
MESSAGE = "The service stopped while the job was running; retry it under a new job id."


def settle_unfinished_jobs() -> int:
    """Fail the jobs that a crash left PENDING or RUNNING, and return how many there were.

    Their clients wait for ever otherwise. The transaction of such a job may have been committed
    just before the crash: as on BigQuery, the error is no promise that nothing happened.
    The reason is the one that BigQuery has for it, HTTP 400, "retry the job with a new jobId":
    https://cloud.google.com/bigquery/docs/error-messages
    """
    errors.STATUSES.setdefault(REASON, (400, "FAILED_PRECONDITION"))
    unfinished = database.fetch(
        "SELECT project_id, job_id FROM emulator.jobs WHERE state <> 'DONE'"
    )
    for project_id, job_id in unfinished:
        job = runner.get(project_id, job_id)
        failure = errors.BigQueryError(REASON, MESSAGE)
        kind = (job.configuration.jobType or "QUERY").lower()
        statistics = JobStatistics.model_validate({kind: {}})
        store.save(runner._done(job, statistics, failure))  # noqa: SLF001
    return len(unfinished)
