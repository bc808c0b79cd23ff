"""The jobs that were submitted: found again by their id, in their location only."""

import asyncio
import contextlib
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from ops.rig.strict_bigquery import refusals
from ops.rig.strict_bigquery.documented_rules import MULTI_REGIONS, RuleLimits
from ops.rig.strict_bigquery.job_runner import JobRunner, WarehouseBehind
from ops.rig.strict_bigquery.query_job import QueryJob

REMEMBERED_JOBS: Final = 10_000


class JobRegistry:
    """Starts jobs and finds them."""

    def __init__(
        self,
        runner: JobRunner,
        behind: WarehouseBehind,
        limits: RuleLimits,
        clock: Callable[[], float],
    ) -> None:
        self._runner, self._behind = runner, behind
        self._limits, self._clock = limits, clock
        self._jobs: OrderedDict[tuple[str, str], QueryJob] = OrderedDict()

    def submit(self, project: str, given: dict[str, Any]) -> QueryJob:
        """Start a query job, given as the API's Job; raises Refused."""
        reference = given.get("jobReference") or {}
        id_ = reference.get("jobId") or uuid.uuid4().hex
        location = reference.get("location") or self._limits.location
        job = QueryJob(project, id_, self._limits.location, given["configuration"], self._clock())
        if self._limits.in_force("location") and not self._is_here(location):
            raise refusals.dataset_not_found(job.default_dataset or project, location)
        if self._limits.in_force("sql_bytes") and len(job.sql) > self._limits.sql_characters:
            raise refusals.sql_too_long()
        if known := self._jobs.get((project, id_)):
            known.hidden = known.hidden is None and self._limits.in_force(
                "not_found_after_duplicate"
            )
            raise refusals.duplicate_job(project, location, id_)
        self._jobs[project, id_] = job
        self._forget()
        job.task = asyncio.create_task(self._runner.run(job), name=f"job {id_}")
        return job

    def _forget(self) -> None:
        while len(self._jobs) > REMEMBERED_JOBS and next(iter(self._jobs.values())).done.is_set():
            self._jobs.popitem(last=False)

    def _is_here(self, location: str) -> bool:
        return location.casefold() == self._limits.location.casefold()

    def find(self, project: str, id_: str, location: str) -> QueryJob | None:
        """Return a job, None for one that was not submitted here; `location` is "" if not given.

        Raises Refused where BigQuery does not find a job.
        """
        own = self._limits.location
        is_found = self._is_here(location) if location else own.casefold() in MULTI_REGIONS
        if self._limits.in_force("location") and not is_found:
            raise refusals.job_not_found(project, id_)
        job = self._jobs.get((project, id_))
        if job and job.hidden:
            job.hidden = False
            raise refusals.job_not_found(project, id_, "not_found_after_duplicate")
        return job

    async def cancel(self, job: QueryJob) -> None:
        """Cancel a job, unless it is one that ends late."""
        if job.is_running_upstream:
            await self._behind.cancel(job)
        elif job.task is not None and not job.is_late:
            job.task.cancel()
            await asyncio.wait({job.task})

    async def stop(self) -> None:
        tasks = [job.task for job in self._jobs.values() if job.task and not job.task.done()]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
