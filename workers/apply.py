"""Applying a batch: sift, plan, make what is missing, fold, commit; isolate what fails for good.

Each transaction of a batch ends applied or rejected, in the ledger, exactly once, whatever else is
in the batch. Applied and rejected ones are settled in the same warehouse transaction: a rejection
was decided on the tables as its neighbours left them, and must not be decided again later.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ops.runtime import log, metrics
from workers import ledger, sql
from workers.catalog import Catalog, Made, tables_of
from workers.entry import Entry
from workers.fold import TableChange, fold
from workers.guard_rail import GuardRail
from workers.outcome import Reason, Rejection
from workers.plan import MAX_TABLES, Plan, before_ddl
from workers.sift import sift
from workers.unused import Unused
from workers.warehouse import (
    AlreadySettled,
    Fence,
    OutcomeUnknown,
    TimedOut,
    Warehouse,
    WarehouseRejected,
    WarehouseUnavailable,
)

logger = log.get(__name__)

MOST_AT_ONCE = 10_000
"""BATCH_MAX_MESSAGES at its largest."""
CATALOG_ROUNDS = 5
"""How often a batch is planned anew because others change its tables at the same time."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of an entry: `rejection` is None when it was applied, now or earlier."""

    entry: Entry
    rejection: Rejection | None


class _TooLarge(Exception):
    """The batch does not fit into one warehouse transaction."""


class Applier:
    """Applies batches, one at a time."""

    def __init__(
        self,
        warehouse: Warehouse,
        dataset: str,
        worker: str,
        guard_rail: GuardRail,
        unused: Unused,
    ) -> None:
        self._warehouse = warehouse
        self._guard_rail = guard_rail
        self._catalog = Catalog(warehouse)
        self._dataset = dataset
        self._worker = worker
        self._unused = unused
        self._at_once = MOST_AT_ONCE

    async def settle(self, entries: list[Entry], fence: Fence) -> list[Outcome]:
        """Settle every entry of a batch, in order, and return what came of each.

        The ledger is asked only when its guard objects, or before tables are made: in steady state
        a batch is one job. Raises WarehouseUnavailable and OutcomeUnknown; calling again with the
        same entries is then safe. Raises TooManyRejected, which is for a person to look at.
        """
        known: dict[str, dict[str, ledger.Settled]] | None = None
        # What an unfinished `settle` has made, here or elsewhere: this must decide as it did.
        made = await self._on_disk(lambda: self._unused.take(tables_of(entries)))
        while True:
            sifted = sift(entries, known or {})
            # What a commit with a lost answer has put to use is there for those behind it.
            made.used_by(entry for entry, settled in sifted.known if not settled.rejection)
            try:
                rejected = await self._apply(sifted.fresh, fence, made, asked=known is not None)
                break
            except AlreadySettled:
                found = await self._look_up(entries, fence)
                if found == known:
                    raise WarehouseUnavailable("the ledger's guard and its rows disagree") from None
                known = found
        outcomes = {entry.key: settled.rejection for entry, settled in sifted.known}
        outcomes |= {entry.key: None for entry in sifted.fresh}
        outcomes |= {entry.key: rejection for entry, rejection in rejected}
        made.used_by(entry for entry in entries if outcomes[entry.key] is None)
        await self._drop_unused(made, fence)
        metrics.SKIPPED.inc(len(sifted.known) + len(sifted.repeats))
        return [Outcome(entry, outcomes[entry.key]) for entry in entries]

    async def _look_up(
        self, entries: list[Entry], fence: Fence
    ) -> dict[str, dict[str, ledger.Settled]]:
        ids = list(dict.fromkeys(entry.message.id for entry in entries))
        return ledger.settled(await self._warehouse.look_up(ids, fence))

    async def _apply(
        self, entries: list[Entry], fence: Fence, made: Made, *, asked: bool
    ) -> list[tuple[Entry, Rejection]]:
        """Commit entries in order, each segment as one transaction; return the rejected ones.

        A segment is all there is, unless the warehouse has lately not been able to do as much
        within the leases: then what failed so is halved, and grows again as others succeed.
        """
        rejected: list[tuple[Entry, Rejection]] = []
        rest = entries
        while rest:
            part, behind = rest[: self._at_once], rest[self._at_once :]
            try:
                rest = await self._commit_or_isolate(part, fence, made, rejected, asked) + behind
            except (TimedOut, OutcomeUnknown) as error:
                self._at_once = max(len(part) // 2, 1)
                if isinstance(error, OutcomeUnknown) or len(part) == 1:
                    raise
                logger.warning("batch_halved", transactions=len(part), error=str(error))
            else:
                self._at_once = min(self._at_once + self._at_once // 8 + 1, MOST_AT_ONCE)
        return rejected

    async def _commit_or_isolate(
        self,
        entries: list[Entry],
        fence: Fence,
        made: Made,
        rejected: list[tuple[Entry, Rejection]],
        asked: bool,  # noqa: FBT001  # as in `_apply`
    ) -> list[Entry]:
        """Commit a segment, or all of it before its first offender; return what is left."""
        try:
            rejected += await self._commit(entries, fence, made, asked=asked)
        except (WarehouseRejected, _TooLarge) as failure:
            return await self._isolate(entries, fence, made, rejected, failure)
        return []

    async def _isolate(
        self,
        failing: list[Entry],
        fence: Fence,
        made: Made,
        rejected: list[tuple[Entry, Rejection]],
        failure: Exception,
    ) -> list[Entry]:
        """Commit all before the first offender of a segment that failed as a whole.

        Return what is left, in order: the offender with its rejection, and those behind it. Takes
        one transaction for each halving, as the half that is known to fail is not tried again.
        """
        tail: list[Entry] = []
        while len(failing) > 1:
            metrics.BISECTIONS.inc()
            middle = len(failing) // 2
            left, right = failing[:middle], failing[middle:]
            try:
                rejected += await self._commit(left, fence, made, asked=True)
                failing = right
            except (WarehouseRejected, _TooLarge) as error:
                failing, tail, failure = left, right + tail, error
        try:  # alone it may go through: what failed was perhaps the company it kept
            rejected += await self._commit(failing, fence, made, asked=True)
        except (WarehouseRejected, _TooLarge) as error:
            failure = error
        else:
            return tail
        if failing[0].rejection:  # it touches nothing but the ledger: that is what fails
            raise WarehouseUnavailable(str(failure))
        # Before the rejection is settled: a worker that dies after that leaves nothing behind.
        await self._drop_unused(made, fence)
        reason = Reason.TOO_LARGE if isinstance(failure, _TooLarge) else Reason.WAREHOUSE_REJECTED
        return [replace(failing[0], rejection=Rejection(reason, str(failure))), *tail]

    async def _commit(
        self, entries: list[Entry], fence: Fence, made: Made, *, asked: bool
    ) -> list[tuple[Entry, Rejection]]:
        """Commit entries as one transaction; return those that the plan rejected."""
        for _ in range(CATALOG_ROUNDS):
            plan = await self._catalog.plan(entries, made)
            lacking = self._catalog.lacking(plan)
            first = before_ddl(entries, plan, lacking)
            if first and asked:
                # A worker that dies between DDL and commit leaves what the DDL made: who settles
                # these later would decide otherwise.
                head = await self._commit(entries[:first], fence, made, asked=asked)
                return head + await self._commit(entries[first:], fence, made, asked=asked)
            self._guard_rail.admit(len(plan.accepted), len(plan.rejected))
            changes = fold(
                activity
                for entry in plan.accepted
                if entry.transaction
                for activity in entry.transaction.activities
            )
            script = self._script(plan, changes)
            if lacking.changes_the_catalog:
                if not asked:
                    raise AlreadySettled  # ask the ledger first: a redelivery makes no tables
                await self._make(lacking, made, fence)
                await self._catalog.refresh(lacking.creates.keys() | lacking.adds.keys())
                self._catalog.note(lacking, made)
                await self._keep(made)
                continue
            try:
                await self._warehouse.commit(script, fence)
            except WarehouseRejected:
                if await self._catalog.refresh(tables_of(entries)):
                    continue  # someone else changed a table: what failed was the old plan
                raise
            self._count(plan, changes)
            made.used_by(plan.accepted)
            await self._keep(made)
            return plan.rejected
        raise WarehouseUnavailable("the tables keep changing under the batch")

    def _script(self, plan: Plan, changes: list[TableChange]) -> sql.Script:
        if len(changes) > MAX_TABLES:
            raise _TooLarge(f"{len(changes)} tables in one transaction, {MAX_TABLES} at the most")
        settling: list[tuple[Entry, Rejection | None]] = [
            *((entry, None) for entry in plan.accepted),
            *plan.rejected,
        ]
        conflicts = {
            entry.key
            for entry, rejection in plan.rejected
            if rejection.reason is Reason.IDEMPOTENCY_CONFLICT
        }
        script = sql.script(
            self._dataset,
            changes,
            sql.Settlement(
                ids=[entry.key[0] for entry, _ in settling if entry.key not in conflicts],
                conflicts=[" ".join(key) for key in conflicts],
                rows=[ledger.row(entry, rejection, self._worker) for entry, rejection in settling],
            ),
        )
        if script.too_large:
            raise _TooLarge("the transaction is larger than a BigQuery request may be")
        return script

    async def _make(self, lacking: Plan, made: Made, fence: Fence) -> None:
        await self._keep(made.with_those_of(lacking))
        for table, column in self._catalog.misfits(lacking, made):
            await self._drop(table, column, fence)
            made.forget(table, column)
        for table, columns in lacking.creates.items():
            await self._warehouse.create_table(table, columns, fence)
            made.tables.add(table)
        for table, columns in lacking.adds.items():
            await self._warehouse.add_columns(table, columns, fence)
            made.add(table, columns)

    async def _drop_unused(self, made: Made, fence: Fence) -> None:
        """Leave no table and no column behind that no applied transaction has asked for."""
        touched = made.tables | {table for table, _ in made.columns}
        for table in sorted(made.tables):
            await self._drop(table, None, fence)
        for table, column in sorted(made.columns):
            if table not in made.tables:
                await self._drop(table, column, fence)
        made.clear()
        await self._keep(made)
        await self._catalog.refresh(touched)

    async def _keep(self, made: Made) -> None:
        if not self._unused.says(made):
            await self._on_disk(lambda: self._unused.keep(made))

    @staticmethod
    async def _on_disk[T](call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except OSError as error:
            raise WarehouseUnavailable(f"the note of what is made: {error}") from error

    async def _drop(self, table: str, column: str | None, fence: Fence) -> None:
        logger.info("unused_dropped", table=table, column=column)
        try:
            await self._warehouse.drop_unused(table, column, fence)
        except WarehouseRejected as error:  # gone already, or not to be dropped
            logger.warning("unused_kept", table=table, column=column, error=str(error))

    def _count(self, plan: Plan, changes: Iterable[TableChange]) -> None:
        now = datetime.now(UTC)
        self._guard_rail.count(len(plan.accepted), len(plan.rejected))
        metrics.APPLIED.inc(len(plan.accepted))
        metrics.BATCH_TRANSACTIONS.observe(len(plan.accepted) + len(plan.rejected))
        activities = 0
        for entry in plan.accepted:
            received = datetime.fromisoformat(entry.message.received_at)
            metrics.END_TO_END_SECONDS.observe(max((now - received).total_seconds(), 0))
            activities += len(entry.transaction.activities) if entry.transaction else 0
        metrics.ACTIVITIES_IN.inc(activities)
        for _, rejection in plan.rejected:
            metrics.DEAD_LETTERED.labels(reason=rejection.reason.value).inc()
        for change in changes:
            for operation, row_sets in (("delete", change.deletes), ("insert", change.inserts)):
                metrics.ROWS_OUT.labels(operation=operation).inc(sum(len(s.rows) for s in row_sets))
