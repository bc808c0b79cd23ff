"""BigQuery jobs of one dataset, each run to a known outcome.

Every job has an id of our own. When an answer is lost, the same job is submitted again: BigQuery
then answers 409 and the first submission's outcome is fetched, so a lost answer is never a second
run. A job that is not found may still exist: BigQuery looks a job up in one location only, and may
answer 404 right after a 409 (googleapis/python-bigquery issue 2134).
"""

import asyncio
import contextlib
import re
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, NamedTuple, cast

from google.api_core.exceptions import Conflict, NotFound
from google.api_core.retry import Retry, if_exception_type
from google.cloud import bigquery
from opentelemetry.trace import SpanKind

from ops.runtime import log, metrics
from ops.runtime.retry import policy
from ops.runtime.tracing import TRACER, current_trace
from ops.runtime.warehouse_errors import Conflicted, OutcomeUnknown, WarehouseUnavailable, classify
from schema import lane_name

REQUEST_SECONDS = 30.0
"""For one HTTP request; a job that runs longer is waited for with several."""
POLL_SECONDS = 0.5
SHORTEST_FIRST_WAIT = 0.1
LONGEST_WAIT = 10.0
CONTENDERS = 8
"""Workers that want one table: a pause may be as long as a job of each of them."""
RECENT_JOBS = 8
"""Of which the median counts: look-ups are shorter, and a job in an outage is longer."""
ONCE: Final = Retry(predicate=if_exception_type())
"""The caller tries again and has the deadline; the client's own retries last for minutes."""

logger = log.get(__name__)

type Deadline = Callable[[], float]
"""How many seconds the caller still waits. It saves work; correctness does not depend on it."""


class JobLimits(NamedTuple):
    """Bounds of one job, and of jobs side by side."""

    parallel: int = 16
    """Each has a thread until its end. asyncio's own threads are too few: 6 on two cores."""
    seconds: float = 120.0
    """BigQuery is asked to stop a job after it (`jobTimeoutMs`), which "might not always succeed":
    https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfiguration. Saves work."""
    grace: float = 30.0
    """How many seconds longer a job's outcome is asked for before the lane goes on without it."""
    maximum_bytes_billed: int | None = None
    conflict_attempts: int = 12


def text_of(error: BaseException) -> str:
    """Return BigQuery's own words, without the client's request line around them."""
    errors = getattr(error, "errors", None) or []
    messages = [str(item.get("message", "")) for item in errors if isinstance(item, dict)]
    return "; ".join(filter(None, messages)) or str(error)


@dataclass(eq=False)
class Jobs:
    """Runs queries and scripts on one dataset, through one client."""

    client: bigquery.Client
    dataset: str
    labels: Mapping[str, str]
    limits: JobLimits
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _location: str | None = field(default=None, init=False)
    _recent_seconds: deque[float] = field(
        default_factory=lambda: deque(maxlen=RECENT_JOBS), init=False
    )
    """What the latest jobs took that ended well.

    BigQuery cancels a transaction that changes a table while another changes it, and each attempt
    counts for the table's quota of DML statements. So pauses go with what is waited for: a job.
    """
    _threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(self.limits.parallel, "job")

    async def run(
        self, text: str, parameters: Mapping[str, str], left: Deadline, lane: int | None = None
    ) -> list[Mapping[str, Any]]:
        """Run a job to its outcome and return its rows; raises a failure of `warehouse_errors`.

        Conflicts and transient failures are tried again while there is time `left`, in seconds.
        """
        if left() <= 0:
            raise WarehouseUnavailable("no time is left for the job")
        labels = self.labels if lane is None else {**self.labels, "lane": lane_name(lane)}
        if trace_id := current_trace():
            labels = {**labels, "trace": trace_id}
        job_seconds = max(SHORTEST_FIRST_WAIT, median(self._recent_seconds or [0.0]))
        retrying = policy(
            "warehouse",
            lambda error: type(error) in {Conflicted, WarehouseUnavailable},
            attempts=self.limits.conflict_attempts,
            seconds=max(left(), 0),
            first_wait=job_seconds,
            longest_wait=max(LONGEST_WAIT, CONTENDERS * job_seconds),
            sleep=self.sleep,
        )
        config = self._config(parameters, labels)
        with TRACER.start_as_current_span("run job", kind=SpanKind.CLIENT):
            return await retrying(self._timed, text, config, left)

    async def _timed(
        self, text: str, config: bigquery.QueryJobConfig, left: Deadline
    ) -> list[Mapping[str, Any]]:
        began = self.clock()
        rows = await self._in_thread(text, config, left)
        self._recent_seconds.append(self.clock() - began)
        return rows

    async def _in_thread(
        self, text: str, config: bigquery.QueryJobConfig, left: Deadline
    ) -> list[Mapping[str, Any]]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._job, text, config, left)

    def _config(
        self, parameters: Mapping[str, str], labels: Mapping[str, str]
    ) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter(name, "STRING", value)
                for name, value in parameters.items()
            ],
            job_timeout_ms=int(self.limits.seconds * 1000),
            labels={key: _label(value) for key, value in labels.items()},
        )
        if self.limits.maximum_bytes_billed is not None:
            config.maximum_bytes_billed = self.limits.maximum_bytes_billed
        return config

    def _job(
        self, text: str, config: bigquery.QueryJobConfig, left: Deadline
    ) -> list[Mapping[str, Any]]:
        job_id = f"gatekeeper-{uuid.uuid4().hex}"
        gives_up_at = time.monotonic() + self.limits.seconds + self.limits.grace

        def waits() -> bool:
            return left() > 0 and time.monotonic() <= gives_up_at

        while True:
            try:
                return _rows(self._submitted(text, job_id, config), waits)
            except Exception as error:
                failure = classify(error)
                if failure is Conflicted:
                    metrics.CONFLICTS.inc()
                if failure is not OutcomeUnknown:
                    raise failure(text_of(error)) from error
                metrics.UNKNOWN_OUTCOMES.inc()
                logger.warning("outcome_unknown", job_id=job_id, error=str(error))
                if not waits():
                    self._cancel(job_id)
                    raise failure(text_of(error)) from error
                time.sleep(POLL_SECONDS)

    def _submitted(
        self, text: str, job_id: str, config: bigquery.QueryJobConfig
    ) -> bigquery.QueryJob:
        """Submit the job, or find it where it is already known."""
        location = self._where()
        try:
            return self.client.query(
                text,
                job_id=job_id,
                job_config=config,
                location=location,
                retry=ONCE,
                job_retry=None,
                timeout=REQUEST_SECONDS,
            )
        except Conflict:
            try:
                known = self.client.get_job(
                    job_id, location=location, retry=ONCE, timeout=REQUEST_SECONDS
                )
            except NotFound as error:
                raise ConnectionError(f"job {job_id} exists and is not found yet") from error
            return cast("bigquery.QueryJob", known)  # the id is ours

    def _where(self) -> str | None:
        """Return the dataset's location; jobs outside the US and EU are found only with it."""
        if self._location is None:
            dataset = self.client.get_dataset(self.dataset, retry=ONCE, timeout=REQUEST_SECONDS)
            self._location = dataset.location
        return self._location

    def _cancel(self, job_id: str) -> None:
        """Ask for the end of a job that nobody waits for any more; the fence decides if it ran."""
        with contextlib.suppress(Exception):
            self.client.cancel_job(job_id, location=self._where(), retry=ONCE, timeout=5)


def _rows(job: bigquery.QueryJob, waits: Callable[[], bool]) -> list[Mapping[str, Any]]:
    """Wait for the job's end, with several requests; raises TimeoutError when nobody waits."""
    while True:
        try:
            return list(job.result(retry=ONCE, job_retry=None, timeout=REQUEST_SECONDS))
        except TimeoutError:  # of the client, not of a request: the job still runs
            if not waits():
                raise


def _label(value: str) -> str:
    """Return a job label's value: https://cloud.google.com/bigquery/docs/labels-intro."""
    return re.sub(r"[^a-z0-9_-]", "-", value.lower())[:63]
