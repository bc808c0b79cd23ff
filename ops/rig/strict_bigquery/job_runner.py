"""Runs a job as the documented BigQuery would: held for its latency, under quotas and locks.

Then it runs upstream as a whole, and its locks are released.
"""

import asyncio
import contextlib
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol

from sqlglot import exp

from ops.rig.strict_bigquery import coercion, refusals
from ops.rig.strict_bigquery.billed_bytes import TableShape, TableSizes, billed
from ops.rig.strict_bigquery.documented_rules import Latency, RuleLimits
from ops.rig.strict_bigquery.mutation_locks import MutationLocks, OpenTransaction
from ops.rig.strict_bigquery.parsed_script import DDL, DML, ParsedStatement, parse
from ops.rig.strict_bigquery.query_job import QueryJob
from ops.rig.strict_bigquery.refusals import Refused
from ops.rig.strict_bigquery.strict_report import StrictReport
from ops.rig.strict_bigquery.table_quotas import TableQuotas
from ops.rig.strict_bigquery.value_types import TypeReader

CACHED_CHECKS = 20_000
STUCK_SECONDS = 86_400.0


class WarehouseBehind(Protocol):
    """What runs the jobs that pass: the embedded BigQuery, or none."""

    async def run(self, job: QueryJob, statements: Sequence[ParsedStatement]) -> dict[str, Any]:
        """Run a job to its end and return its resource; raises Refused when it is not accepted."""

    async def shape(self, table: str) -> TableShape | None:
        """Return a table as it is now; None when there is no such table."""

    async def cancel(self, job: QueryJob) -> None:
        """Ask for the end of a job that runs."""


class CastChecks:
    """Checks statements against schemas; what has passed once is not checked again."""

    def __init__(self) -> None:
        self._passed: OrderedDict[tuple[object, ...], None] = OrderedDict()

    def check(
        self, statement: ParsedStatement, shapes: dict[str, TableShape], job: QueryJob
    ) -> None:
        if statement.target not in shapes:
            return
        known = {name: shapes[name].columns for name in statement.tables if name in shapes}
        schemas = tuple(tuple(known[name].items()) for name in sorted(known))
        key = (statement, schemas, tuple(sorted(job.parameter_types.items())))
        if key in self._passed:
            self._passed.move_to_end(key)
            return
        reader = TypeReader(job.parameter_types, lambda table: known.get(statement.named(table)))
        coercion.check(statement, known[statement.target], reader)
        self._passed[key] = None
        if len(self._passed) > CACHED_CHECKS:
            self._passed.popitem(last=False)


class JobRunner:
    """Runs jobs, many at the same time. The clock, the wait and chance are injected."""

    def __init__(  # noqa: PLR0913  # all by keyword
        self,
        behind: WarehouseBehind,
        *,
        limits: RuleLimits,
        latency: Latency,
        sizes: TableSizes,
        report: StrictReport,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: random.Random,
    ) -> None:
        self._behind = behind
        self._limits, self._latency = limits, latency
        self._sizes, self._report = sizes, report
        self._sleep, self._chance = sleep, chance
        self._quotas = TableQuotas(limits, clock)
        self._locks = MutationLocks(limits, clock)
        self._casts = CastChecks()

    async def run(self, job: QueryJob) -> None:
        """Run a job to its end, which is then in the job, also when the job fails."""
        job.is_late = self._chance.random() < self._latency.late_share
        statements = parse(job.sql, job.default_dataset)
        passed: list[ParsedStatement] = []
        try:
            async with contextlib.AsyncExitStack() as held:
                async with self._time_limit(job):
                    await self._hold(job, statements, passed, held)
                await self._run_upstream(job, statements)
        except Refused as refused:
            job.refused = refused
        except asyncio.CancelledError:
            job.refused = refusals.cancelled()
        try:
            await self._account(job, passed)
        finally:
            job.finish()

    @contextlib.asynccontextmanager
    async def _time_limit(self, job: QueryJob) -> AsyncIterator[None]:
        limited = self._limits.in_force("job_timeout") and not job.is_late
        seconds = job.timeout_seconds if limited else None
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise refusals.timed_out(seconds or 0.0) from None

    async def _hold(
        self,
        job: QueryJob,
        statements: Sequence[ParsedStatement],
        passed: list[ParsedStatement],
        held: contextlib.AsyncExitStack,
    ) -> None:
        """Let the time of the script pass, statement by statement; keep its locks in `held`."""
        late = self._latency.late_seconds if job.is_late else 0.0
        waits_first = self._chance.random() < 1 / 2  # in the queue, or with its tables held
        await self._sleep(self._latency.job + (late if waits_first else 0.0))
        for table in _changed_outside_transactions(statements):
            await held.enter_async_context(self._locks.statement(table))
        transaction: OpenTransaction | None = None
        for each in statements:
            if each.kind == "BEGIN":
                transaction = await held.enter_async_context(self._locks.transaction())
            elif each.kind in {"COMMIT", "ROLLBACK"}:
                transaction = None
            else:
                await self._pass(each, transaction)
            passed.append(each)
        if late and not waits_first:
            await self._sleep(late)

    async def _pass(self, statement: ParsedStatement, transaction: OpenTransaction | None) -> None:
        table = statement.target
        if not table:
            return
        if statement.kind in DDL:
            if transaction and self._limits.in_force("transaction_ddl"):
                raise refusals.ddl_in_transaction(statement.kind)
            self._quotas.count_ddl(table)
        elif statement.kind in DML:
            self._quotas.count_dml(table)
            if transaction:
                transaction.change(table, mutates=statement.mutates)
            inserts = statement.kind == "INSERT"
            async with self._quotas.insert(table) if inserts else contextlib.nullcontext():
                stuck = table == self._latency.stuck_table
                await self._sleep(STUCK_SECONDS if stuck else self._latency.statement)

    async def _run_upstream(self, job: QueryJob, statements: Sequence[ParsedStatement]) -> None:
        shapes = await self._shapes(statements)
        if self._limits.in_force("lossy_cast"):
            for each in statements:
                self._casts.check(each, shapes, job)
        job.is_running_upstream = True
        job.resource = await self._behind.run(job, statements)
        if error := job.resource.get("status", {}).get("errorResult"):
            raise Refused("", error.get("reason", ""), error.get("message", ""))

    async def _shapes(self, statements: Sequence[ParsedStatement]) -> dict[str, TableShape]:
        names = list(frozenset[str]().union(*(each.tables for each in statements)))
        found = await asyncio.gather(*map(self._behind.shape, names))
        return {name: shape for name, shape in zip(names, found, strict=True) if shape}

    async def _account(self, job: QueryJob, passed: Sequence[ParsedStatement]) -> None:
        """Count the job, and bill the statements that ran: a failed one is not billed.

        When the service refuses the script, its statements up to the first ASSERT are.
        """
        failed = job.refused
        if failed and not failed.rule:
            asserted = [i for i, each in enumerate(passed) if each.kind == "ASSERT"]
            passed = passed[: asserted[0]] if asserted else ()
        self._report.jobs[
            "refused" if failed and failed.rule else "failed" if failed else "done"
        ] += 1
        if failed and failed.rule:
            self._report.refusals[failed.rule] += 1
        shapes = await self._shapes(passed)
        for each in passed:
            tables = billed(each, shapes, self._sizes, job.parameters)
            if tables or each.kind in DML | DDL:
                self._report.bill(each.kind, tables)
                job.bytes_billed += sum(tables.values())
        if not failed:
            self._note_inserts(job, passed)

    def _note_inserts(self, job: QueryJob, statements: Sequence[ParsedStatement]) -> None:
        for each in statements:
            if each.target and each.kind in {"INSERT", "MERGE"} and each.tree:
                names = {found.name.casefold() for found in each.tree.find_all(exp.Parameter)}
                size = sum(len(job.parameters.get(name) or "") for name in names)
                self._sizes.insert(each.target, size)


def _changed_outside_transactions(statements: Sequence[ParsedStatement]) -> list[str]:
    """Return the tables that a script mutates outside transactions, in one order for all."""
    found, inside = set(), False
    for each in statements:
        if each.kind in {"BEGIN", "COMMIT", "ROLLBACK"}:
            inside = each.kind == "BEGIN"
        elif each.mutates and each.target and not inside:
            found.add(each.target)
    return sorted(found)
