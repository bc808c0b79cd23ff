import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ops.rig.strict_bigquery import job_registry
from ops.rig.strict_bigquery.documented_rules import RULES, RuleLimits
from ops.rig.strict_bigquery.job_registry import JobRegistry
from ops.rig.strict_bigquery.query_job import QueryJob
from ops.rig.strict_bigquery.refusals import Refused


class Runner:
    async def run(self, job: QueryJob) -> None:
        await asyncio.sleep(0)
        job.finish()


def registry(location: str = "US", off: str = "") -> JobRegistry:
    limits = RuleLimits(rules=frozenset(RULES) - {off}, location=location)
    return JobRegistry(Runner(), None, limits, lambda: 0.0)  # type: ignore[arg-type]


def given(id_: str = "j", location: str | None = None, sql: str = "SELECT 1") -> dict[str, Any]:
    reference = {"jobId": id_, "location": location}
    return {"jobReference": reference, "configuration": {"query": {"query": sql}}}


@pytest.fixture(autouse=True)
async def let_jobs_end() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0.01)


async def test_a_job_is_found_with_its_location_only_outside_the_multi_regions() -> None:
    jobs = registry("europe-west6")
    job = jobs.submit("p", given())
    assert job.location == "europe-west6"
    assert jobs.find("p", "j", "EUROPE-WEST6") is job
    for location in ("", "US"):
        with pytest.raises(Refused, match="Not found: Job p:j"):
            jobs.find("p", "j", location)


async def test_in_a_multi_region_a_job_is_found_without_a_location() -> None:
    jobs = registry("EU")
    job = jobs.submit("p", given(location="eu"))
    assert jobs.find("p", "j", "") is job
    assert jobs.find("p", "other", "EU") is None
    with pytest.raises(Refused):
        jobs.find("p", "j", "US")


async def test_a_job_in_another_location_does_not_find_the_dataset() -> None:
    with pytest.raises(Refused, match="was not found in location US"):
        registry("europe-west6").submit("p", given(location="US"))


async def test_an_id_is_taken_once_and_then_not_found_once() -> None:
    jobs = registry()
    job = jobs.submit("p", given())
    with pytest.raises(Refused) as duplicate:
        jobs.submit("p", given())
    assert duplicate.value.status == 409
    with pytest.raises(Refused) as missing:
        jobs.find("p", "j", "US")
    assert (missing.value.status, missing.value.rule) == (404, "not_found_after_duplicate")
    assert jobs.find("p", "j", "US") is job
    with pytest.raises(Refused):
        jobs.submit("p", given())
    assert jobs.find("p", "j", "US") is job


async def test_without_that_rule_it_is_found() -> None:
    jobs = registry(off="not_found_after_duplicate")
    job = jobs.submit("p", given())
    with pytest.raises(Refused):
        jobs.submit("p", given())
    assert jobs.find("p", "j", "") is job


async def test_a_script_above_1_mb_is_refused() -> None:
    registry().submit("p", given(sql="x" * 1_024_000))
    with pytest.raises(Refused, match="too large"):
        registry().submit("p", given(sql="x" * 1_024_001))


async def test_the_oldest_jobs_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_registry, "REMEMBERED_JOBS", 2)
    jobs = registry()
    for n in range(4):
        job = jobs.submit("p", given(f"j{n}"))
        await job.done.wait()
    assert jobs.find("p", "j0", "US") is None
    assert jobs.find("p", "j3", "US") is not None


async def test_a_job_without_an_id_gets_one() -> None:
    assert len(registry().submit("p", {"configuration": {"query": {}}}).id) == 32
