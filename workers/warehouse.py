"""The warehouse: jobs run to a known outcome, and the schemas of tables.

Every job has an id of our own. When an answer is lost, the same job is submitted again: BigQuery
then answers 409 and the first submission's outcome is fetched, so a lost answer is never a second
run. A job that is not found may still exist: BigQuery looks a job up in one location only, and may
answer 404 right after a 409 (googleapis/python-bigquery issue 2134).
Methods block no loop: the client works in threads.
"""

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

from google.api_core.exceptions import Conflict, NotFound
from google.api_core.retry import Retry, if_exception_type
from google.cloud import bigquery

from ops.runtime import log, metrics
from ops.runtime.retry import policy
from schema import ColumnType, lane_name
from workers import sql
from workers.catalog import TableSchema
from workers.errors import Failure, classify
from workers.plan import Column

JOB_SECONDS = 120.0
"""BigQuery is asked to stop a job after it (`jobTimeoutMs`), which "might not always succeed":
https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfiguration. Saves work."""
GRACE_SECONDS = 30.0
"""How much longer a job's outcome is asked for before the lane goes on without it."""
REQUEST_SECONDS = 30.0
"""For one HTTP request; a job that runs longer is waited for with several."""
POLL_SECONDS = 0.5
CONFLICT_ATTEMPTS = 12
CONFLICT_FIRST_WAIT = 0.1

logger = log.get(__name__)

type Deadline = Callable[[], float]
"""How many seconds the caller still waits. It saves work; correctness does not depend on it."""


class Fenced(Exception):
    """Another worker has committed in the lane, or an id is in the ledger; nothing was changed."""


class WarehouseRejected(Exception):
    """The warehouse refused permanently; nothing was changed."""


class WarehouseUnavailable(Exception):
    """Nothing was changed, and trying again later may help."""


class Conflicted(WarehouseUnavailable):
    """Other transactions changed the same tables at every attempt."""


class TimedOut(WarehouseUnavailable):
    """The job was stopped after its time limit; the same job would need as long again."""


class TooLarge(WarehouseUnavailable):
    """More than one job may be; `excess` says how many times, where it is known."""

    def __init__(self, error: str, excess: float = 2.0) -> None:
        super().__init__(error)
        self.excess = excess


class OutcomeUnknown(Exception):
    """Nobody could be asked in time whether the job took effect; it may still run."""


_RAISED: dict[Failure, type[Exception]] = {
    Failure.FENCED: Fenced,
    Failure.CONFLICT: Conflicted,
    Failure.TRANSIENT: WarehouseUnavailable,
    Failure.TIMED_OUT: TimedOut,
    Failure.TOO_LARGE: TooLarge,
    Failure.UNKNOWN: OutcomeUnknown,
    Failure.PERMANENT: WarehouseRejected,
}
_RETRIED = (Failure.CONFLICT, Failure.TRANSIENT)


class JobLimits(NamedTuple):
    """Bounds of one job: seconds, bytes billed (None: no bound), attempts after conflicts."""

    seconds: float = JOB_SECONDS
    grace: float = GRACE_SECONDS
    maximum_bytes_billed: int | None = None
    conflict_attempts: int = CONFLICT_ATTEMPTS


class _JobFailed(Exception):
    def __init__(self, failure: Failure, cause: BaseException) -> None:
        super().__init__(_text(cause))
        self.failure = failure


def _text(error: BaseException) -> str:
    """Return BigQuery's own words, without the client's request line around them."""
    errors = getattr(error, "errors", None) or []
    messages = [str(item.get("message", "")) for item in errors if isinstance(item, dict)]
    return "; ".join(filter(None, messages)) or str(error)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, _JobFailed) and error.failure in _RETRIED


class Warehouse:
    """One dataset, through one client.

    Methods raise Fenced, WarehouseRejected, WarehouseUnavailable (Conflicted, TimedOut, TooLarge)
    or OutcomeUnknown.
    """

    def __init__(
        self,
        client: bigquery.Client,
        dataset: str,
        *,
        labels: Mapping[str, str] | None = None,
        limits: JobLimits = JobLimits(),  # noqa: B008  # immutable
    ) -> None:
        self.dataset = dataset
        self._client = client
        self._labels = dict(labels or {})
        self._limits = limits
        self._location: str | None = None

    async def commit(self, script: sql.Script, left: Deadline) -> None:
        """Run a lane's script; returns when it is committed."""
        with metrics.TRANSACTION_SECONDS.time():
            await self._run(script.sql, script.parameters, left, script.settlement.lane)
        metrics.STATEMENTS.inc(script.statements)

    async def read_lane(
        self, lane: int, ids: list[str], since: str, left: Deadline
    ) -> list[Mapping[str, Any]]:
        """Return a lane's head, with each ledger row of the ids: see `sql.read_lane`."""
        return await self._run(*sql.read_lane(self.dataset, lane, ids, since), left, lane)

    async def note_attempt(self, lane: int, epoch: int, id_: str, left: Deadline) -> None:
        """Count an attempt at a transaction in the lane's head, which moves the epoch by one."""
        await self._run(*sql.note_attempt(self.dataset, lane, epoch, id_), left, lane)

    async def count_resumes(self, left: Deadline) -> int:
        """Return how often `gatekeeper resume` was run on the dataset."""
        try:
            (row,) = await self._run(sql.count_resumes(self.dataset), {}, left)
        except WarehouseRejected:  # never: the first run creates the table
            return 0
        return int(row["resumes"])

    async def create_table(
        self, table: str, columns: Iterable[tuple[str, ColumnType]], left: Deadline
    ) -> None:
        """Create a table unless it is there."""
        await self._run(sql.create_table(self.dataset, table, columns), {}, left)

    async def add_columns(
        self, table: str, columns: Iterable[tuple[str, ColumnType]], left: Deadline
    ) -> None:
        """Add to a table those columns that it lacks."""
        await self._run(sql.add_columns(self.dataset, table, columns), {}, left)

    async def _run(
        self, text: str, parameters: Mapping[str, str], left: Deadline, lane: int | None = None
    ) -> list[Mapping[str, Any]]:
        """Run a query or script to its outcome and return its rows.

        Conflicts and transient failures are tried again while there is time `left`, in seconds.
        """
        if left() <= 0:
            raise WarehouseUnavailable("no time is left for the job")
        labels = {} if lane is None else {"lane": lane_name(lane)}
        retrying = policy(
            "warehouse",
            _is_retryable,
            attempts=self._limits.conflict_attempts,
            seconds=max(left(), 0),
            first_wait=CONFLICT_FIRST_WAIT,
        )
        try:
            return await retrying(asyncio.to_thread, self._job, text, parameters, left, labels)
        except _JobFailed as failed:
            raise _RAISED[failed.failure](str(failed)) from failed.__cause__

    async def schema(self, table: str) -> TableSchema | None:
        """Return a table's schema as it is now; None when there is no such table."""
        try:
            found = await asyncio.to_thread(
                self._client.get_table,
                f"{self.dataset}.{table}",
                retry=_ONCE,
                timeout=REQUEST_SECONDS,
            )
        except NotFound:
            return None
        except Exception as error:
            if classify(error) is Failure.PERMANENT:
                raise WarehouseRejected(_text(error)) from error
            raise WarehouseUnavailable(_text(error)) from error  # a look-up has no outcome
        return TableSchema(
            {
                field.name.casefold(): Column(
                    field.name,
                    _STANDARD.get(field.field_type, field.field_type),
                    field.precision,
                    field.scale,
                )
                for field in found.schema
            },
            {
                field.name.casefold(): field.default_value_expression
                for field in found.schema
                if field.default_value_expression
            },
            _partitioned_by(found),
        )

    def _job(
        self,
        text: str,
        parameters: Mapping[str, str],
        left: Deadline,
        labels: Mapping[str, str],
    ) -> list[Mapping[str, Any]]:
        """Run one job to its outcome, in a thread. Raises _JobFailed."""
        job_id = f"gatekeeper-{uuid.uuid4().hex}"
        config = self._config(parameters, labels)
        gives_up_at = time.monotonic() + self._limits.seconds + self._limits.grace
        while True:
            try:
                return self._outcome(text, job_id, config)
            except Exception as error:
                failure = classify(error)
                if failure is Failure.CONFLICT:
                    metrics.CONFLICTS.inc()
                if failure is not Failure.UNKNOWN:
                    raise _JobFailed(failure, error) from error
                metrics.UNKNOWN_OUTCOMES.inc()
                logger.warning("outcome_unknown", job_id=job_id, error=str(error))
                if left() <= 0 or time.monotonic() > gives_up_at:
                    self._cancel(job_id)
                    raise _JobFailed(failure, error) from error
                time.sleep(POLL_SECONDS)

    def _config(
        self, parameters: Mapping[str, str], labels: Mapping[str, str]
    ) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter(name, "STRING", value)
                for name, value in parameters.items()
            ],
            job_timeout_ms=int(self._limits.seconds * 1000),
            labels={key: _label(value) for key, value in {**self._labels, **labels}.items()},
        )
        if self._limits.maximum_bytes_billed is not None:
            config.maximum_bytes_billed = self._limits.maximum_bytes_billed
        return config

    def _outcome(
        self, text: str, job_id: str, config: bigquery.QueryJobConfig
    ) -> list[Mapping[str, Any]]:
        """Submit the job, or find it where it is already known, and wait for its end."""
        location = self._where()
        try:
            job = self._client.query(
                text,
                job_id=job_id,
                job_config=config,
                location=location,
                retry=_ONCE,
                job_retry=None,
                timeout=REQUEST_SECONDS,
            )
        except Conflict:
            try:
                known = self._client.get_job(
                    job_id, location=location, retry=_ONCE, timeout=REQUEST_SECONDS
                )
            except NotFound as error:
                raise ConnectionError(f"job {job_id} exists and is not found yet") from error
            job = cast("bigquery.QueryJob", known)  # the id is ours
        return list(job.result(retry=_ONCE, job_retry=None, timeout=REQUEST_SECONDS))

    def _where(self) -> str | None:
        """Return the dataset's location; jobs outside the US and EU are found only with it."""
        if self._location is None:
            dataset = self._client.get_dataset(self.dataset, retry=_ONCE, timeout=REQUEST_SECONDS)
            self._location = dataset.location
        return self._location

    def _cancel(self, job_id: str) -> None:
        """Ask for the end of a job that nobody waits for any more; the fence decides if it ran."""
        with contextlib.suppress(Exception):
            self._client.cancel_job(job_id, location=self._where(), retry=_ONCE, timeout=5)


def _partitioned_by(table: bigquery.Table) -> str:
    by_time, by_range = table.time_partitioning, table.range_partitioning
    column = (by_time and by_time.field) or (by_range and by_range.field) or ""
    return str(column).casefold()


def _label(value: str) -> str:
    """Return a job label's value: https://cloud.google.com/bigquery/docs/labels-intro."""
    return re.sub(r"[^a-z0-9_-]", "-", value.lower())[:63]


# The caller tries again and has the deadline; the client's own retries last for minutes.
_ONCE = Retry(predicate=if_exception_type())
# tables.get has the legacy names.
_STANDARD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
