"""Changes to local-bigquery's jobs, each with its reason."""

import json
import threading
from typing import Any

from local_bigquery.catalog import metadata
from local_bigquery.engine import database, sessions
from local_bigquery.jobs import query, runner, store

from ops.local import steady_clock
from ops.local.bigquery import job_recovery
from ops.local.bigquery.job_deadlines import JobDeadlines, check
from ops.local.bigquery.maintenance_lock import MaintenanceLock
from ops.runtime import log

logger = log.get(__name__)


def apply(lock: MaintenanceLock) -> None:
    use_steady_clock()
    run_jobs_under(lock)
    refuse_duplicate_jobs()
    honour_job_timeouts()
    keep_the_job_table_small()
    list_no_temporary_tables()


def use_steady_clock() -> None:
    """Date jobs by the clock that maintenance compares them with."""
    metadata.now = lambda: str(int(steady_clock.now() * 1000))


def run_jobs_under(lock: MaintenanceLock) -> None:
    """Make maintenance wait for jobs, and jobs for maintenance; end every job.

    A job whose result could not be written, on a full disk, stayed RUNNING forever.
    """
    execute = runner._execute  # noqa: SLF001

    def locked(job: Any, *rest: Any) -> None:
        reference = job.jobReference
        try:
            with lock.job():
                execute(job, *rest)
        except Exception:
            logger.exception("job_not_recorded", job_id=reference.jobId)
            job_recovery.fail_when_possible(reference.projectId, reference.jobId)
        finally:
            runner._running.pop((reference.projectId, reference.jobId), None)  # noqa: SLF001

    runner._execute = locked  # noqa: SLF001


def refuse_duplicate_jobs() -> None:
    """Check and insert a job id in one step: two concurrent requests both passed the check."""
    submit, lock = runner.submit, threading.Lock()

    def locked_submit(*arguments: Any, **named: Any) -> Any:
        with lock:
            return submit(*arguments, **named)

    runner.submit = locked_submit


def honour_job_timeouts() -> None:
    """End a job that is past its `jobTimeoutMs`, counted from its arrival, before it commits."""
    submit, execute, statement = runner.submit, runner._execute, query._statement  # noqa: SLF001
    deadlines = JobDeadlines()

    def timed_submit(project_id: str, job_id: str, configuration: Any, *rest: Any) -> Any:
        with deadlines.submitting(project_id, job_id, configuration):
            return submit(project_id, job_id, configuration, *rest)

    def timed_execute(job: Any, *rest: Any) -> None:
        deadlines.enter(job.jobReference.projectId, job.jobReference.jobId)
        execute(job, *rest)

    def timed_statement(*arguments: Any) -> Any:
        check()
        return statement(*arguments)

    runner.submit, runner._execute = timed_submit, timed_execute  # noqa: SLF001
    query._statement = timed_statement  # noqa: SLF001


def keep_the_job_table_small() -> None:
    """Store jobs without parameters; store a script's statements with the script, without text.

    Otherwise a batch of 4 MB is written a dozen times, and each of its statements costs a commit
    and another copy of the script: two fifths of the time of a batch.
    """
    local = threading.local()

    def save(job: Any) -> Any:
        lean, parent = job.model_copy(deep=False), job.statistics.parentJobId
        if job.configuration and job.configuration.query:
            left_out = {"queryParameters": None, **({"query": None} if parent else {})}
            bare = job.configuration.query.model_copy(update=left_out)
            lean.configuration = job.configuration.model_copy(update={"query": bare})
        waiting = [*getattr(local, "statements", ()), lean]
        local.statements = waiting if parent else []
        if not parent:
            _store(waiting)
        return job

    store.save = save


def _store(jobs: list[Any]) -> None:
    """Write jobs in one statement: a statement for each takes three times as long."""
    rows = {
        (job.jobReference.projectId, job.jobReference.jobId): (
            job.statistics.parentJobId,
            job.status.state,
            int(job.statistics.creationTime),
            json.dumps(job.dump()),
        )
        for job in jobs  # the last state of each
    }
    values = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(rows))
    with database.cursor() as cursor:
        cursor.execute(
            f"INSERT OR REPLACE INTO emulator.jobs VALUES {values}",  # noqa: S608  # placeholders
            [field for key, fields in rows.items() for field in (*key, *fields)],
        )


_TEMPORARY_TABLES = "SELECT table_name FROM duckdb_tables() WHERE temporary"


class _NewCursor:
    """A job's cursor, which has no temporary table yet, so that nothing needs to list them."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def sql(self, text: str, **options: Any) -> Any:
        if text == _TEMPORARY_TABLES:
            text = "SELECT NULL::VARCHAR AS table_name LIMIT 0"
        return self._cursor.sql(text, **options)


def list_no_temporary_tables() -> None:
    """Save each job the list of all tables, which it reads to find temporary ones.

    DuckDB lists the tables of all catalogues for it, with their sizes: with a hundred tables a
    quarter of a job's time. Only a session's cursor can have temporary tables.
    """
    execute = query.execute

    def execute_on(cursor: Any, *rest: Any, **named: Any) -> Any:
        session = named.get("session") or any(isinstance(each, sessions.Session) for each in rest)
        return execute(cursor if session else _NewCursor(cursor), *rest, **named)

    query.execute = execute_on
