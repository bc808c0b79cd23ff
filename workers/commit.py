"""Commits a lane's batch: deduplicate, plan, make what is missing, fold, run, isolate offenders.

Each transaction of a batch ends applied or rejected, in the ledger, exactly once, whatever else is
in the batch. Applied and rejected ones are settled in one BigQuery transaction: a rejection is
decided on the tables as its neighbours left them, and must not be decided again later. Why this
holds with any number of workers on a lane is in docs/semantics.md.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from ops.runtime import log, metrics
from ops.runtime.warehouse_errors import (
    Conflicted,
    DuplicateKeys,
    Fenced,
    KeyExists,
    OutcomeUnknown,
    TimedOut,
    TooLarge,
    WarehouseRejected,
    WarehouseUnavailable,
)
from schema import Activity, Reason, Rejection, Settled, head_table
from workers.catalog import CatalogCache, tables_of
from workers.change_sql import TableLayout
from workers.contract_columns import NO_CONTRACTS, Contracts, duplicate_error, key_of
from workers.decode import DecodedMessage
from workers.dedupe import deduplicate, settled_since
from workers.fold import fold
from workers.jobs import Deadline
from workers.lane_head import LaneHead
from workers.lane_script import LaneScripts
from workers.outcomes import Outcome, count_in_metrics, counted
from workers.part_size import PartSize
from workers.plan import Plan
from workers.rejection_limit import RejectionLimit
from workers.table_change import Row, TableChange
from workers.warehouse import Warehouse

logger = log.get(__name__)

CATALOG_ROUNDS = 5
"""How often a batch is planned again because others change its tables at the same time."""
FENCED_ROUNDS = 20
"""How often a lane is read again because others commit in it at the same time."""
LONE_ATTEMPTS = 3
"""Attempts at a transaction that does not finish even alone, counted across workers in the head."""


class _KeysNoted(Exception):
    """A script failed by keys that are noted now: the next plan rejects their inserts."""


class TableLocks:
    """Inside a process one job at a time mutates a table: BigQuery would cancel one of two."""

    def __init__(self) -> None:
        self._locks = defaultdict[str, asyncio.Lock](asyncio.Lock)

    @contextlib.asynccontextmanager
    async def held(self, tables: Iterable[str]) -> AsyncIterator[None]:
        """Hold the locks of some tables, taken in one order so that nobody waits in a circle."""
        async with contextlib.AsyncExitStack() as stack:
            for table in sorted(tables):
                await stack.enter_async_context(self._locks[table])
            yield


@dataclass(frozen=True, slots=True)
class CommitSettings:
    """What bounds a worker's commits."""

    worker: str
    lanes: int
    copy_window: timedelta = timedelta(hours=24)
    """How far back a copy may have been settled of a message that is not a redelivery."""


@dataclass(eq=False)
class Committer:
    """Commits batches, one at a time for each lane, several lanes side by side."""

    warehouse: Warehouse
    catalog: CatalogCache
    limit: RejectionLimit
    settings: CommitSettings
    contracts: Callable[[], Contracts] = lambda: NO_CONTRACTS
    """Returns those in force now."""
    locks: TableLocks = field(default_factory=TableLocks, init=False)
    _heads: dict[int, LaneHead] = field(default_factory=dict, init=False)

    async def settle(
        self, lane: int, messages: list[DecodedMessage], left: Deadline
    ) -> list[Outcome]:
        """Settle every message of a lane's batch, in order, and return how.

        In steady state this is one job. Raises WarehouseUnavailable and OutcomeUnknown; calling
        again with the same messages is then safe. Raises TooManyRejected and LaneCountDiffers,
        which are for a person to look at.
        """
        since = settled_since(messages, self.settings.copy_window)
        head = self._heads.setdefault(lane, LaneHead(lane, self.settings.lanes))
        return await _LaneCommit(self, head, messages, since, left).settle()


@dataclass(slots=True, eq=False)
class _LaneCommit:
    """One batch of one lane on its way into the warehouse."""

    committer: Committer
    head: LaneHead
    messages: list[DecodedMessage]
    since: str
    left: Deadline
    ledger: Settled | None = None
    """What it held of the batch when it was read; None before."""
    outcomes: dict[tuple[str, str], Rejection | None] = field(default_factory=dict)
    size: PartSize = field(default_factory=PartSize)
    existing: defaultdict[str, set[Row]] = field(default_factory=lambda: defaultdict(set))
    """Keys that made a script fail: its tables have them before the next part."""

    async def settle(self) -> list[Outcome]:
        if not self.head.known:
            await self._read_lane()
        for _ in range(FENCED_ROUNDS):
            found = deduplicate(self.messages, self.ledger or {})
            self.outcomes |= {message.key: outcome for message, outcome in found.settled}
            fresh = [message for message in found.fresh if message.key not in self.outcomes]
            try:
                await self._apply(fresh)
            except Fenced:
                metrics.FENCED.inc()
                await self._read_lane()
            except BaseException:
                self.head.forget()  # the job may have changed it
                raise
            else:
                metrics.SKIPPED.inc(len(found.settled) + len(found.repeats))
                return [Outcome(each, self.outcomes[each.key]) for each in self.messages]
        raise WarehouseUnavailable(f"other workers keep committing in lane {self.head.lane}")

    async def _read_lane(self) -> None:
        ids = list(dict.fromkeys(message.message.id for message in self.messages))
        self.ledger = await self.head.read(self.committer.warehouse, ids, self.since, self.left)

    async def _apply(self, rest: list[DecodedMessage]) -> None:
        """Commit messages in order, in one part unless that failed before."""
        self.existing.clear()
        while rest:
            part = rest[: self.size.next()]
            try:
                await self._commit(part)
            except TooLarge as error:
                self.size.shrink(len(part), int(len(part) / max(error.excess, 1.1)))
                rest = self._give_up_alone(part, rest, Reason.TOO_LARGE, str(error))
            except (TimedOut, OutcomeUnknown) as error:
                logger.warning("batch_timed_out", transactions=len(part), error=str(error))
                if len(part) == 1:
                    rest = await self._count_attempt(part, rest, error)
                self.size.shrink(len(part), len(part) // 4)
            except Conflicted:
                if len(part) == 1:
                    raise
                self.size.shrink(len(part), len(part) // 2)
            except _KeysNoted:
                continue
            except WarehouseRejected as error:
                metrics.BISECTIONS.inc()
                self.size.search(_suspects(part, error.table))
                rest = self._give_up_alone(part, rest, error.reason, str(error))
            else:
                self.existing.clear()
                rest = rest[len(part) :]
                self.size.committed(len(part))

    def _give_up_alone(
        self, part: list[DecodedMessage], rest: list[DecodedMessage], reason: Reason, error: str
    ) -> list[DecodedMessage]:
        """Reject a message that failed alone; it is settled with those behind it."""
        if len(part) > 1:
            return rest
        if part[0].rejection:  # it touches nothing but the ledger: that is what fails
            raise WarehouseUnavailable(error)
        self.size.reset()
        return [replace(part[0], rejection=Rejection(reason, error)), *rest[1:]]

    async def _count_attempt(
        self, part: list[DecodedMessage], rest: list[DecodedMessage], error: Exception
    ) -> list[DecodedMessage]:
        """Count an attempt at a message that does not finish alone; reject it after the last."""
        id_ = part[0].message.id
        if not self.head.known or isinstance(error, OutcomeUnknown):
            await self._read_lane()  # the job may have ended meanwhile
            if self.ledger and id_ in self.ledger:
                raise Fenced
        attempts = await self.head.note_attempt(self.committer.warehouse, id_, self.left)
        if attempts < LONE_ATTEMPTS:
            return rest
        text = f"not finished alone in {attempts} attempts: {error}"
        return self._give_up_alone(part, rest, Reason.TOO_SLOW, text)

    async def _commit(self, part: list[DecodedMessage]) -> None:
        """Commit messages as one transaction and keep their outcomes."""
        catalog, limit = self.committer.catalog, self.committer.limit
        for _ in range(CATALOG_ROUNDS):
            plan = await catalog.plan(part, self.committer.contracts(), self.existing)
            outcomes = counted(plan)
            limit.admit(outcomes)
            if plan.changes_the_catalog:
                if self.ledger is None:
                    raise Fenced  # read the ledger first: a redelivery makes no tables
                await self._make(plan)
                part = _with_rejections(part, plan)
                continue
            activities = [each for message in plan.accepted for each in message.activities]
            layouts = catalog.layouts({each.table for each in activities})
            changes = fold(activities, {table: each.defaults for table, each in layouts.items()})
            try:
                await self._run(plan, changes, layouts)
            except DuplicateKeys as error:
                raise self._on_duplicates(activities, plan.contracts, error) from error
            except WarehouseRejected:
                if await catalog.refresh(tables_of(part)):
                    continue  # someone else changed a table: the old plan failed
                raise
            self.outcomes |= {message.key: rejection for message, rejection in plan.settled}
            limit.count(outcomes)
            count_in_metrics(plan, changes)
            return
        raise WarehouseUnavailable("others keep changing the tables of the batch")

    def _on_duplicates(
        self, activities: list[Activity], contracts: Contracts, error: DuplicateKeys
    ) -> Exception:
        """Note the keys if the tables had them before; else the offender must be found alone."""
        found = [activities[place] for place in error.places]
        keys = [(each.table, key_of(each, contracts[each.table])) for each in found]
        if not error.at_begin or all(key in self.existing[table] for table, key in keys):
            named = [duplicate_error(contracts[each.table], each) for each in found[:1]]
            exists = KeyExists(*named or [str(error)])
            exists.table = found[0].table if found else None
            return exists
        for table, key in keys:
            self.existing[table].add(key)
        return _KeysNoted()

    async def _make(self, plan: Plan) -> None:
        """Make what a plan lacks. Another may be first: the next plan checks the types."""
        for table, columns in plan.creates.items():
            contract = plan.contracts.get(table)
            await self.committer.warehouse.create_table(table, columns, self.left, contract)
        for table, columns in plan.adds.items():
            await self.committer.warehouse.add_columns(table, columns, self.left)
        await self.committer.catalog.refresh(plan.creates.keys() | plan.adds.keys())

    async def _run(
        self, plan: Plan, changes: list[TableChange], layouts: Mapping[str, TableLayout]
    ) -> None:
        dataset, worker = self.committer.warehouse.dataset, self.committer.settings.worker
        scripts = LaneScripts(dataset, self.head, self.since, worker)
        script = scripts.script(plan, changes, layouts)
        mutated = {change.table for change in changes if change.mutates}
        heads = {head_table(lane) for lane in (self.head.lane, *script.settlement.locks)}
        async with self.committer.locks.held(mutated | heads):
            try:
                await self.committer.warehouse.commit(script, self.left)
            except WarehouseRejected as error:
                error.table = script.table_of(str(error))
                raise
        self.head.moved()


def _suspects(part: list[DecodedMessage], table: str | None) -> list[int]:
    """Return the places of the messages that may have failed a part, by the table that failed."""
    of_table = [place for place, message in enumerate(part) if table in tables_of([message])]
    return of_table or list(range(len(part)))


def _with_rejections(part: list[DecodedMessage], plan: Plan) -> list[DecodedMessage]:
    """Keep a plan's rejections: one for want of a table stands when a later message makes it."""
    rejected = {message.key: rejection for message, rejection in plan.rejected}
    return [
        replace(message, rejection=rejected[message.key]) if message.key in rejected else message
        for message in part
    ]
