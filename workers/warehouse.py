"""The warehouse: jobs run to a known outcome, and the catalog.

Every job has an id of our own. When an answer is lost, the same job is submitted again: BigQuery
then says 409 and the first submission's outcome is fetched, so a lost answer is never a second run.
All methods block no loop: the client works in threads.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from google.api_core.exceptions import Conflict, NotFound
from google.api_core.retry import Retry, if_exception_type
from google.cloud import bigquery

from ops.runtime import log, metrics
from ops.runtime.retry import policy
from ops.runtime.settings import Settings
from schema import ColumnType
from workers import sql
from workers.errors import Failure, classify
from workers.plan import Column, Columns

REQUEST_SECONDS = 30.0
"""For one HTTP request; a job that runs longer is waited for with several."""
POLL_SECONDS = 0.5
CONFLICT_ATTEMPTS = 12

logger = log.get(__name__)

type Fence = Callable[[], float]
"""How many seconds the leases of a batch still last; a job must not outlive them, as another worker
may then apply the same transactions."""


class AlreadySettled(Exception):
    """The guard found one of the batch's ids in the ledger; nothing was changed."""


class WarehouseRejected(Exception):
    """The warehouse refused for good; nothing was changed."""


class WarehouseUnavailable(Exception):
    """Nothing was changed, and trying again later may help."""


class TimedOut(WarehouseUnavailable):
    """The job was stopped as its time was over; the same job would need as long again."""


class OutcomeUnknown(Exception):
    """The leases ran out before anyone could say whether the job took effect."""


_RAISED: dict[Failure, type[Exception]] = {
    Failure.SETTLED: AlreadySettled,
    Failure.CONFLICT: WarehouseUnavailable,
    Failure.TRANSIENT: WarehouseUnavailable,
    Failure.TIMED_OUT: TimedOut,
    Failure.UNKNOWN: OutcomeUnknown,
    Failure.PERMANENT: WarehouseRejected,
}


def _cause(error: BaseException) -> str:
    """Return BigQuery's own words, without the client's request line around them."""
    errors = getattr(error, "errors", None) or []
    messages = [str(item.get("message", "")) for item in errors if isinstance(item, dict)]
    return "; ".join(filter(None, messages)) or str(error)


def _worth_another(error: BaseException) -> bool:
    return isinstance(error, WarehouseUnavailable) and not isinstance(error, TimedOut)


def _patience(fence: Fence) -> float:
    """Return how long one request may take: not past the fence, yet long enough for an answer."""
    return max(min(REQUEST_SECONDS, fence()), 1.0)


class Warehouse:
    """One dataset, through one client."""

    def __init__(self, client: bigquery.Client, settings: Settings) -> None:
        self._client = client
        self._dataset = settings.dataset_path

    async def commit(self, script: sql.Script, fence: Fence) -> None:
        """Run a batch's transaction; returns when it is committed.

        Conflicts with other transactions and passing failures are tried again. Raises
        AlreadySettled, WarehouseRejected, TimedOut, WarehouseUnavailable or OutcomeUnknown.
        """
        with metrics.TRANSACTION_SECONDS.time():
            await self._run(script.sql, script.parameters, fence)
        metrics.STATEMENTS.inc(script.statements)

    async def look_up(self, ids: list[str], fence: Fence) -> list[Mapping[str, Any]]:
        """Return the ledger's rows for some ids: `id`, `sha256`, `reason`, `error`."""
        return await self._run(*sql.look_up(self._dataset, ids), fence)

    async def create_table(
        self, table: str, columns: Iterable[tuple[str, ColumnType]], fence: Fence
    ) -> None:
        """Create a table unless it is there."""
        await self._run(sql.create_table(self._dataset, table, columns), {}, fence)

    async def add_columns(
        self, table: str, columns: Iterable[tuple[str, ColumnType]], fence: Fence
    ) -> None:
        """Add to a table those columns that it lacks."""
        await self._run(sql.add_columns(self._dataset, table, columns), {}, fence)

    async def drop_unused(self, table: str, column: str | None, fence: Fence) -> None:
        """Drop a table that has no rows, or a column that has no values."""
        await self._run(sql.drop_unused(self._dataset, table, column), {}, fence)

    async def columns(self, table: str) -> Columns | None:
        """Return a table's columns as they are now, None when there is no such table."""
        try:
            found = await asyncio.to_thread(
                self._client.get_table,
                f"{self._dataset}.{table}",
                retry=_ONCE,
                timeout=REQUEST_SECONDS,
            )
        except NotFound:
            return None
        except Exception as error:
            if classify(error) is Failure.PERMANENT:
                raise
            raise WarehouseUnavailable(_cause(error)) from error  # a look-up has no outcome
        return {
            field.name.casefold(): Column(
                field.name,
                _STANDARD.get(field.field_type, field.field_type),
                field.precision,
                field.scale,
            )
            for field in found.schema
        }

    async def _run(
        self, text: str, parameters: Mapping[str, str], fence: Fence
    ) -> list[Mapping[str, Any]]:
        retrying = policy(
            "warehouse",
            _worth_another,
            attempts=CONFLICT_ATTEMPTS,
            seconds=max(fence(), 0),
        )
        return await retrying(asyncio.to_thread, self._job, text, parameters, fence)

    def _job(
        self, text: str, parameters: Mapping[str, str], fence: Fence
    ) -> list[Mapping[str, Any]]:
        """Run one job to its outcome, in a thread."""
        if fence() <= 0:
            raise OutcomeUnknown("the leases ran out before the job was submitted")
        job_id = f"gatekeeper-{uuid.uuid4().hex}"
        config = bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter(name, "STRING", value)
                for name, value in parameters.items()
            ],
            job_timeout_ms=max(int(fence() * 1000), 1),
        )
        while True:
            try:
                return self._outcome(text, job_id, config, _patience(fence))
            except Exception as error:
                failure = classify(error)
                if failure is Failure.CONFLICT:
                    metrics.CONFLICTS.inc()
                if failure is not Failure.UNKNOWN or fence() <= 0:
                    raise _RAISED[failure](_cause(error)) from error
                metrics.UNKNOWN_OUTCOMES.inc()
                logger.warning("outcome_unknown", job_id=job_id, error=str(error))
                time.sleep(POLL_SECONDS)

    def _outcome(
        self, text: str, job_id: str, config: bigquery.QueryJobConfig, timeout: float
    ) -> list[Mapping[str, Any]]:
        """Submit the job, or find it where it is already known, and wait for its end."""
        try:
            job = self._client.query(
                text,
                job_id=job_id,
                job_config=config,
                retry=_ONCE,
                job_retry=None,
                timeout=timeout,
            )
        except Conflict:
            known = self._client.get_job(job_id, retry=_ONCE, timeout=timeout)
            job = cast("bigquery.QueryJob", known)  # the id is ours
        return list(job.result(retry=_ONCE, job_retry=None, timeout=timeout))


# Who calls tries again, and knows when to stop; the client's own retries outlive every lease.
_ONCE = Retry(predicate=if_exception_type())
# tables.get has the legacy names.
_STANDARD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
