"""Commits a lane's batch: deduplicate, plan, make what is missing, fold, run, isolate offenders.

Each transaction of a batch ends applied or rejected, in the ledger, exactly once, whatever else is
in the batch. Applied and rejected ones are settled in one BigQuery transaction: a rejection is
decided on the tables as its neighbours left them, and must not be decided again later. Why this
holds with any number of workers on a lane is in docs/semantics.md.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ops.runtime import log, metrics
from schema import Reason, Rejection, lane_name
from workers import sql
from workers.catalog import CatalogCache, tables_of
from workers.decode import DecodedMessage
from workers.dedupe import Settled, deduplicate, ledger_row, settled_rows
from workers.fold import TableChange, fold
from workers.part_size import PartSize
from workers.plan import MAX_TABLES, Plan
from workers.rejection_limit import CountedOutcome, RejectionLimit
from workers.warehouse import (
    Conflicted,
    Deadline,
    Fenced,
    OutcomeUnknown,
    TimedOut,
    TooLarge,
    Warehouse,
    WarehouseRejected,
    WarehouseUnavailable,
)

logger = log.get(__name__)

CATALOG_ROUNDS = 5
"""How often a batch is planned again because others change its tables at the same time."""
FENCED_ROUNDS = 20
"""How often a lane is read again because others commit in it at the same time."""
LONE_ATTEMPTS = 3
"""Attempts at a transaction that does not finish even alone, counted across workers in the head."""
CLOCK_SLACK = timedelta(minutes=1)
"""Between Pub/Sub's clock, which gives `publish_time`, and BigQuery's, which gives `settled_at`."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How a message was settled: `rejection` is None when it was applied, now or earlier."""

    message: DecodedMessage
    rejection: Rejection | None


@dataclass(slots=True)
class LaneHead:
    """A lane's head as this worker last read or changed it; `epoch` is None when unknown."""

    lane: int
    epoch: int | None = None
    suspect: str | None = None
    attempts: int = 0


class LaneCountDiffers(Exception):
    """The dataset was provisioned with another number of lanes than LANES."""


class TableLocks:
    """Inside a process one job at a time deletes from a table: BigQuery would cancel one of two."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def held(self, tables: Iterable[str]) -> AsyncIterator[None]:
        """Hold the locks of some tables, taken in one order so that nobody waits in a circle."""
        async with contextlib.AsyncExitStack() as stack:
            for table in sorted(tables):
                await stack.enter_async_context(self._locks.setdefault(table, asyncio.Lock()))
            yield


@dataclass(frozen=True, slots=True)
class CommitSettings:
    """What bounds a worker's commits."""

    worker: str
    lanes: int
    copy_window: timedelta = timedelta(hours=24)
    """How far back a copy may have been settled of a message that is not a redelivery."""


class Committer:
    """Commits batches, one at a time for each lane, several lanes side by side."""

    def __init__(
        self,
        warehouse: Warehouse,
        catalog: CatalogCache,
        limit: RejectionLimit,
        settings: CommitSettings,
    ) -> None:
        self.warehouse = warehouse
        self.catalog = catalog
        self.limit = limit
        self.settings = settings
        self.locks = TableLocks()
        self._heads = {lane: LaneHead(lane) for lane in range(settings.lanes)}

    async def settle(
        self, lane: int, messages: list[DecodedMessage], left: Deadline
    ) -> list[Outcome]:
        """Settle every message of a lane's batch, in order, and return how.

        In steady state this is one job. Raises WarehouseUnavailable and OutcomeUnknown; calling
        again with the same messages is then safe. Raises TooManyRejected and LaneCountDiffers,
        which are for a person to look at.
        """
        return await _LaneCommit(self, self._heads[lane], messages, left).settle()


class _LaneCommit:
    """One batch of one lane on its way into the warehouse."""

    def __init__(
        self,
        committer: Committer,
        head: LaneHead,
        messages: list[DecodedMessage],
        left: Deadline,
    ) -> None:
        self._committer = committer
        self._warehouse = committer.warehouse
        self._catalog = committer.catalog
        self._head = head
        self._messages = messages
        self._left = left
        self._since = _since(messages, committer.settings.copy_window)
        self._ledger: Settled = {}
        self._looked_up = False
        self._outcomes: dict[tuple[str, str], Rejection | None] = {}
        self._size = PartSize()

    async def settle(self) -> list[Outcome]:
        if self._head.epoch is None:
            await self._read_lane()
        for _ in range(FENCED_ROUNDS):
            found = deduplicate(self._messages, self._ledger)
            self._outcomes |= {message.key: outcome for message, outcome in found.settled}
            fresh = [message for message in found.fresh if message.key not in self._outcomes]
            try:
                await self._apply(fresh)
            except Fenced:
                metrics.FENCED.inc()
                await self._read_lane()
            except BaseException:
                self._head.epoch = None  # the job may have changed it
                raise
            else:
                metrics.SKIPPED.inc(len(found.settled) + len(found.repeats))
                return [Outcome(each, self._outcomes[each.key]) for each in self._messages]
        raise WarehouseUnavailable(f"other workers keep committing in lane {self._head.lane}")

    async def _read_lane(self) -> None:
        """Read the head and what the ledger holds of the batch, in one snapshot."""
        head = self._head
        head.epoch = None
        ids = list(dict.fromkeys(message.message.id for message in self._messages))
        rows = await self._warehouse.read_lane(head.lane, ids, self._since, self._left)
        if not rows:
            raise WarehouseUnavailable(
                f"{lane_name(head.lane)} has no head: run `gatekeeper provision`"
            )
        if rows[0]["lanes"] != self._committer.settings.lanes:
            raise LaneCountDiffers(
                f"the dataset has {rows[0]['lanes']} lanes and LANES is "
                f"{self._committer.settings.lanes}: set LANES={rows[0]['lanes']}"
            )
        head.epoch = rows[0]["epoch"]
        head.suspect, head.attempts = rows[0]["suspect"], rows[0]["attempts"] or 0
        self._ledger = settled_rows(row for row in rows if row["id"] is not None)
        self._looked_up = True

    async def _apply(self, fresh: list[DecodedMessage]) -> None:
        """Commit messages in order, in one part unless that failed before."""
        rest = fresh
        while rest:
            part = rest[: self._size.next()]
            try:
                await self._commit(part)
            except TooLarge as error:
                self._size.shrink(len(part), int(len(part) / max(error.excess, 1.1)))
                rest = self._give_up_alone(part, rest, Reason.TOO_LARGE, error)
            except (TimedOut, OutcomeUnknown) as error:
                logger.warning("batch_timed_out", transactions=len(part), error=str(error))
                if len(part) == 1:
                    rest = await self._count_attempt(part[0], rest, error)
                self._size.shrink(len(part), len(part) // 4)
            except Conflicted:
                if len(part) == 1:
                    raise
                self._size.shrink(len(part), len(part) // 2)
            except WarehouseRejected as error:
                metrics.BISECTIONS.inc()
                self._size.halve(len(part))
                rest = self._give_up_alone(part, rest, Reason.WAREHOUSE_REJECTED, error)
            else:
                rest = rest[len(part) :]
                self._size.committed(len(part))

    def _give_up_alone(
        self,
        part: list[DecodedMessage],
        rest: list[DecodedMessage],
        reason: Reason,
        error: Exception,
    ) -> list[DecodedMessage]:
        """Reject a message that failed alone; it is settled with those behind it."""
        if len(part) > 1:
            return rest
        if part[0].rejection:  # it touches nothing but the ledger: that is what fails
            raise WarehouseUnavailable(str(error))
        self._size.reset()
        return [replace(part[0], rejection=Rejection(reason, str(error))), *rest[1:]]

    async def _count_attempt(
        self, message: DecodedMessage, rest: list[DecodedMessage], error: Exception
    ) -> list[DecodedMessage]:
        """Count an attempt at a message that does not finish alone; reject it after the last."""
        head, id_ = self._head, message.message.id
        if head.epoch is None or isinstance(error, OutcomeUnknown):
            await self._read_lane()  # the job may have ended meanwhile
            if id_ in self._ledger:
                raise Fenced
        assert head.epoch is not None  # noqa: S101  # just read
        await self._warehouse.note_attempt(head.lane, head.epoch, id_, self._left)
        head.epoch += 1
        head.attempts = head.attempts + 1 if head.suspect == id_ else 1
        head.suspect = id_
        if head.attempts < LONE_ATTEMPTS:
            return rest
        text = f"not finished alone in {head.attempts} attempts: {error}"
        return self._give_up_alone([message], rest, Reason.TOO_SLOW, Exception(text))

    async def _commit(self, part: list[DecodedMessage]) -> None:
        """Commit messages as one transaction and keep their outcomes."""
        for _ in range(CATALOG_ROUNDS):
            plan = await self._catalog.plan(part)
            counted = _counted(plan)
            self._committer.limit.admit(counted)
            if plan.changes_the_catalog:
                if not self._looked_up:
                    raise Fenced  # read the ledger first: a redelivery makes no tables
                await self._make(plan)
                part = _with_rejections(part, plan)
                continue
            changes = fold(
                activity
                for message in plan.accepted
                if message.transaction
                for activity in message.transaction.activities
            )
            try:
                await self._run(plan, changes)
            except WarehouseRejected:
                if await self._catalog.refresh(tables_of(part)):
                    continue  # someone else changed a table: the old plan failed
                raise
            self._keep(plan, changes, counted)
            return
        raise WarehouseUnavailable("others keep changing the tables of the batch")

    async def _make(self, plan: Plan) -> None:
        """Make what a plan lacks. Another may be first: the next plan checks the types."""
        for table, columns in plan.creates.items():
            await self._warehouse.create_table(table, columns, self._left)
        for table, columns in plan.adds.items():
            await self._warehouse.add_columns(table, columns, self._left)
        await self._catalog.refresh(plan.creates.keys() | plan.adds.keys())

    async def _run(self, plan: Plan, changes: list[TableChange]) -> None:
        script = self._script(plan, changes)
        head = self._head
        deleted_from = [change.table for change in changes if change.deletes]
        async with self._committer.locks.held(deleted_from):
            await self._warehouse.commit(script, self._left)
        assert head.epoch is not None  # noqa: S101  # the script was written with it
        head.epoch += 1

    def _script(self, plan: Plan, changes: list[TableChange]) -> sql.Script:
        if len(changes) > MAX_TABLES:
            raise TooLarge(
                f"{len(changes)} tables in one transaction, {MAX_TABLES} at the most",
                len(changes) / MAX_TABLES,
            )
        head = self._head
        assert head.epoch is not None  # noqa: S101  # `settle` reads it first
        settled = plan.settled
        # A conflict's id is in the ledger already, or comes with its first body in this batch.
        ids = [
            message.message.id
            for message, rejection in settled
            if not rejection or rejection.reason is not Reason.IDEMPOTENCY_CONFLICT
        ]
        lane, worker = lane_name(head.lane), self._committer.settings.worker
        rows = [ledger_row(message, rejection, lane, worker) for message, rejection in settled]
        script = sql.script(
            self._warehouse.dataset,
            changes,
            sql.LaneSettlement(head.lane, head.epoch, self._since, ids, rows),
            self._catalog.layouts(change.table for change in changes),
        )
        if script.excess > 1:
            raise TooLarge("the transaction is larger than a BigQuery request", script.excess)
        return script

    def _keep(self, plan: Plan, changes: list[TableChange], counted: list[CountedOutcome]) -> None:
        self._outcomes |= {message.key: rejection for message, rejection in plan.settled}
        self._committer.limit.count(counted)
        _count(plan, changes)


def _with_rejections(part: list[DecodedMessage], plan: Plan) -> list[DecodedMessage]:
    """Keep a plan's rejections: one for want of a table stands when a later message makes it."""
    rejected = {message.key: rejection for message, rejection in plan.rejected}
    return [
        replace(message, rejection=rejected[message.key]) if message.key in rejected else message
        for message in part
    ]


def _since(messages: list[DecodedMessage], copy_window: timedelta) -> str:
    """Return the time before which no message of the batch can have been settled.

    A redelivery has its first publish time, and nothing is settled before it is published. A
    message with a derived id, or one that its publisher may have published before, may have been
    settled under an earlier publish time.
    """
    oldest = min(datetime.fromisoformat(each.delivery.publish_time) for each in messages)
    wide = any(each.message.may_be_settled_already for each in messages)
    return (oldest - CLOCK_SLACK - (copy_window if wide else timedelta())).isoformat(" ")


def _counted(plan: Plan) -> list[CountedOutcome]:
    return [
        CountedOutcome(
            message.message.source,
            message.transaction.activities[0].table if message.transaction else "",
            rejection.reason if rejection else None,
        )
        for message, rejection in plan.settled
    ]


def _count(plan: Plan, changes: Iterable[TableChange]) -> None:
    now = datetime.now(UTC)
    metrics.APPLIED.inc(len(plan.accepted))
    metrics.BATCH_TRANSACTIONS.observe(len(plan.accepted) + len(plan.rejected))
    activities = 0
    for message in plan.accepted:
        received = datetime.fromisoformat(message.message.received_at)
        metrics.END_TO_END_SECONDS.observe(max((now - received).total_seconds(), 0))
        activities += len(message.transaction.activities) if message.transaction else 0
    metrics.ACTIVITIES_IN.inc(activities)
    for _, rejection in plan.rejected:
        metrics.DEAD_LETTERED.labels(reason=rejection.reason.value).inc()
    for change in changes:
        for operation, row_sets in (("delete", change.deletes), ("insert", change.inserts)):
            rows = sum(len(row_set.rows) for row_set in row_sets)
            metrics.ROWS_OUT.labels(operation=operation).inc(rows)
