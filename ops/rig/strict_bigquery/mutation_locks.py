"""Who may update and delete in a table: one transaction or one statement at a time.

The pages of `transaction_conflict` and `queued_mutations`. Of two transactions that mutate one
table the one that comes second is cancelled, also when the first has committed since the second
began: it reads a snapshot. A statement outside transactions waits; BigQuery runs two of them side
by side and repeats one that conflicts, here one runs after the other. INSERTs never conflict.
"""

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

from ops.rig.strict_bigquery import refusals
from ops.rig.strict_bigquery.documented_rules import RuleLimits


class _TableMutations:
    def __init__(self) -> None:
        self.free = asyncio.Condition()
        self.holder: object = None
        self.changed_at = float("-inf")
        self.queued = 0


class MutationLocks:
    """The tables that are being mutated."""

    def __init__(self, limits: RuleLimits, clock: Callable[[], float]) -> None:
        self.limits, self.clock = limits, clock
        self.tables = defaultdict[str, _TableMutations](_TableMutations)
        self._ids = itertools.count(1)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["OpenTransaction"]:
        """Yield a transaction, which holds the tables that it mutates until the block ends."""
        opened = OpenTransaction(self, f"{next(self._ids):032x}", self.clock())
        try:
            yield opened
        except BaseException:
            await opened.end(committed=False)
            raise
        await opened.end(committed=True)

    @contextlib.asynccontextmanager
    async def statement(self, table: str) -> AsyncIterator[None]:
        """Hold a table for a statement outside transactions; raises Refused when too many wait."""
        own, limit = self.tables[table], self.limits.queued_mutations
        refuses = self.limits.in_force("queued_mutations")
        async with own.free:
            if refuses and own.holder is not None and own.queued >= limit:
                raise refusals.too_many_outstanding("queued_mutations", table, limit)
            own.queued += 1
            try:
                await own.free.wait_for(lambda: own.holder is None)
            finally:
                own.queued -= 1
            own.holder = token = object()
        try:
            yield
        finally:
            await self.release(table, token)

    async def release(self, table: str, holder: object, *, changed: bool = True) -> None:
        own = self.tables[table]
        async with own.free:
            if own.holder is holder:
                own.holder = None
                own.free.notify()
            if changed:
                own.changed_at = self.clock()


class OpenTransaction:
    """One transaction: the tables that it has changed so far."""

    def __init__(self, locks: MutationLocks, id_: str, began_at: float) -> None:
        self._locks, self._id, self._began_at = locks, id_, began_at
        self._changed: set[str] = set()
        self._held: set[str] = set()

    def change(self, table: str, *, mutates: bool) -> None:
        """Note a statement on a table; raises Refused if another transaction is in the way."""
        limits = self._locks.limits
        self._changed.add(table)
        if limits.in_force("transaction_tables") and len(self._changed) > limits.transaction_tables:
            raise refusals.too_many_tables(limits.transaction_tables)
        if not mutates or table in self._held or not limits.in_force("transaction_conflict"):
            return
        own = self._locks.tables[table]
        if own.holder is not None or own.changed_at > self._began_at:
            raise refusals.conflict(table, self._id)
        own.holder = self
        self._held.add(table)

    async def end(self, *, committed: bool) -> None:
        for table in self._held:
            await self._locks.release(table, self, changed=committed)
