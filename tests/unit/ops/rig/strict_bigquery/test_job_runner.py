import asyncio
import random
from collections.abc import Sequence
from typing import Any

from ops.rig.strict_bigquery.billed_bytes import MINIMUM_BYTES, TableShape, TableSizes
from ops.rig.strict_bigquery.documented_rules import RULES, Latency, RuleLimits
from ops.rig.strict_bigquery.job_runner import STUCK_SECONDS, JobRunner
from ops.rig.strict_bigquery.parsed_script import ParsedStatement
from ops.rig.strict_bigquery.query_job import QueryJob
from ops.rig.strict_bigquery.refusals import Refused
from ops.rig.strict_bigquery.strict_report import StrictReport

SCRIPT = """BEGIN TRANSACTION; UPDATE p.d.head SET n = n + 1 WHERE TRUE;
ASSERT @@row_count = 1 AS 'fenced'; INSERT INTO p.d.t (n) VALUES (1); COMMIT TRANSACTION"""


class FakeDatabase:
    """Runs every job, or fails it; notes which."""

    def __init__(self, error: str = "") -> None:
        self.ran: list[str] = []
        self._error = error

    async def run(self, job: QueryJob, statements: Sequence[ParsedStatement]) -> dict[str, Any]:
        assert statements
        self.ran.append(job.id)
        error = {"reason": "invalidQuery", "message": self._error}
        return {"status": {"state": "DONE", **({"errorResult": error} if self._error else {})}}

    async def shape(self, table: str) -> TableShape | None:
        return TableShape({"n": "INT64"}) if table != "p.d.missing" else None

    async def cancel(self, job: QueryJob) -> None:
        raise AssertionError(job.id)


class RunnerScene:
    """A runner whose waits take no time and are noted."""

    def __init__(
        self, warehouse: FakeDatabase | None = None, off: str = "", latency: Latency | None = None
    ) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.report = StrictReport()
        self.warehouse = warehouse or FakeDatabase()
        self.runner = JobRunner(
            self.warehouse,
            limits=RuleLimits(rules=frozenset(RULES) - {off}),
            latency=latency or Latency(),
            sizes=TableSizes(),
            report=self.report,
            clock=lambda: self.now,
            sleep=self.sleep,
            chance=random.Random(1),
        )

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    async def run(self, sql: str, id_: str = "j", **more: Any) -> QueryJob:
        job = QueryJob("p", id_, "US", {"query": {"query": sql}, **more}, 0.0)
        await self.runner.run(job)
        assert job.done.is_set()
        return job


def rule(job: QueryJob) -> str | None:
    return job.refused.rule if job.refused else None


async def test_a_script_takes_its_latency_and_then_runs_as_a_whole() -> None:
    scene = RunnerScene()
    job = await scene.run(SCRIPT)
    assert job.refused is None
    assert scene.waits == [1.0, 0.7, 0.7]
    assert scene.warehouse.ran == ["j"]
    assert scene.report.jobs == {"done": 1}
    assert job.bytes_billed == 2 * MINIMUM_BYTES


async def test_a_statement_on_a_stuck_table_ends_with_its_job_alone() -> None:
    scene = RunnerScene(latency=Latency(stuck_table="p.d.t"))
    await scene.run(SCRIPT)
    assert scene.waits == [1.0, 0.7, STUCK_SECONDS]
    elsewhere = RunnerScene(latency=Latency(stuck_table="p.d.other"))
    await elsewhere.run(SCRIPT)
    assert max(elsewhere.waits) == 1.0


async def test_of_two_scripts_that_change_one_head_one_is_cancelled() -> None:
    scene = RunnerScene()
    jobs = await asyncio.gather(*(scene.run(SCRIPT, each) for each in "ab"))
    assert [rule(job) for job in jobs] == [None, "transaction_conflict"]
    assert scene.warehouse.ran == ["a"]
    assert scene.report.refusals == {"transaction_conflict": 1}


async def test_without_that_rule_both_run() -> None:
    scene = RunnerScene(off="transaction_conflict")
    await asyncio.gather(*(scene.run(SCRIPT, each) for each in "ab"))
    assert scene.warehouse.ran == ["a", "b"]


async def test_a_failed_assertion_bills_what_came_before_it() -> None:
    scene = RunnerScene(FakeDatabase("Assertion failed: fenced"))
    job = await scene.run(SCRIPT)
    assert isinstance(job.refused, Refused)
    assert (job.refused.rule, job.refused.message) == ("", "Assertion failed: fenced")
    assert scene.report.as_json()["statements"] == {"UPDATE": 1}
    assert scene.report.jobs == {"failed": 1}


async def test_a_failed_transaction_is_in_no_later_one_s_way() -> None:
    scene = RunnerScene(FakeDatabase("Assertion failed: fenced"))
    jobs = await asyncio.gather(*(scene.run(SCRIPT, each) for each in "ab"))
    assert rule(jobs[1]) == "transaction_conflict"
    assert rule(await scene.run(SCRIPT, "c")) == ""


async def test_ddl_in_a_transaction_is_refused() -> None:
    scene = RunnerScene()
    sql = "BEGIN TRANSACTION; CREATE TABLE p.d.new (n INT64); COMMIT TRANSACTION"
    assert rule(await scene.run(sql)) == "transaction_ddl"
    assert rule(await scene.run("CREATE TABLE p.d.new (n INT64)")) is None


async def test_a_value_that_does_not_coerce_is_refused_before_it_runs() -> None:
    scene = RunnerScene()
    assert rule(await scene.run("INSERT INTO p.d.t (n) VALUES ('a')")) == "lossy_cast"
    assert rule(await scene.run("INSERT INTO p.d.missing (n) VALUES ('a')", "k")) is None
    assert scene.warehouse.ran == ["k"]


async def test_statements_on_two_tables_wait_in_one_order() -> None:
    scene = RunnerScene()
    ab, ba = (
        "; ".join(f"UPDATE p.d.{each} SET n = 1 WHERE TRUE" for each in order)
        for order in ("ab", "ba")
    )
    jobs = await asyncio.wait_for(asyncio.gather(scene.run(ab, "1"), scene.run(ba, "2")), 60)
    assert [rule(job) for job in jobs] == [None, None]


async def test_a_job_past_its_time_limit_is_stopped_and_a_late_one_is_not() -> None:
    class Slow(RunnerScene):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            await asyncio.sleep(0.05)

    job = await Slow().run(SCRIPT, jobTimeoutMs="10")
    assert rule(job) == "job_timeout"
    assert rule(await Slow(off="job_timeout").run(SCRIPT, jobTimeoutMs="10")) is None
    late = await Slow(latency=Latency(late_share=1)).run(SCRIPT, jobTimeoutMs="10")
    assert (late.is_late, late.refused) == (True, None)


async def test_a_late_job_waits_once_more() -> None:
    scene = RunnerScene(latency=Latency(late_share=1, late_seconds=30))
    await scene.run(SCRIPT)
    assert sum(scene.waits) == 1.0 + 2 * 0.7 + 30


async def test_a_cancelled_job_does_not_run() -> None:
    scene = RunnerScene()
    task = asyncio.create_task(scene.run(SCRIPT))
    await asyncio.sleep(0)
    task.cancel()
    job = await task
    assert job.refused is not None
    assert job.refused.reason == "stopped"
    assert scene.warehouse.ran == []
