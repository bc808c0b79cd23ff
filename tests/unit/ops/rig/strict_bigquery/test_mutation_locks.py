import asyncio
import contextlib

import pytest

from ops.rig.strict_bigquery.documented_rules import RULES, RuleLimits
from ops.rig.strict_bigquery.mutation_locks import MutationLocks
from ops.rig.strict_bigquery.refusals import Refused


class Ticks:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        self.time += 1.0
        return self.time


def locks(limits: RuleLimits | None = None) -> MutationLocks:
    return MutationLocks(limits or RuleLimits(), Ticks())


async def test_of_two_transactions_the_second_to_mutate_a_table_is_cancelled() -> None:
    own = locks()
    async with own.transaction() as first, own.transaction() as second:
        second.change("p.d.u", mutates=True)
        first.change("p.d.t", mutates=True)
        first.change("p.d.t", mutates=True)
        with pytest.raises(Refused, match=r"against table p:d\.t") as refused:
            second.change("p.d.t", mutates=True)
        assert "Transaction ID: " in refused.value.message


async def test_a_transaction_conflicts_with_one_that_committed_after_it_began() -> None:
    own = locks()
    async with own.transaction() as late:
        async with own.transaction() as early:
            early.change("p.d.t", mutates=True)
        with pytest.raises(Refused):
            late.change("p.d.t", mutates=True)
    async with own.transaction() as after:
        after.change("p.d.t", mutates=True)


async def test_a_transaction_that_failed_is_in_nobody_s_way() -> None:
    own = locks()
    async with own.transaction() as late:
        with contextlib.suppress(ZeroDivisionError):
            async with own.transaction() as early:
                early.change("p.d.t", mutates=True)
                raise ZeroDivisionError
        late.change("p.d.t", mutates=True)


async def test_inserts_never_conflict() -> None:
    own = locks()
    async with own.transaction() as first, own.transaction() as second:
        first.change("p.d.t", mutates=False)
        second.change("p.d.t", mutates=True)
        first.change("p.d.t", mutates=False)


async def test_a_statement_outside_transactions_waits_for_a_transaction() -> None:
    own = locks()

    async def update() -> None:
        async with own.statement("p.d.t"):
            pass

    async with own.transaction() as transaction:
        transaction.change("p.d.t", mutates=True)
        waiting = asyncio.create_task(update())
        await asyncio.sleep(0.01)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 60)


async def test_a_transaction_is_cancelled_by_a_statement_that_runs() -> None:
    own = locks()
    async with own.transaction() as transaction, own.statement("p.d.t"):
        with pytest.raises(Refused):
            transaction.change("p.d.t", mutates=True)


async def test_the_21st_statement_that_would_wait_is_refused() -> None:
    own = locks()

    async def update() -> None:
        async with own.statement("p.d.t"):
            pass

    async with own.statement("p.d.t"):
        waiting = [asyncio.create_task(update()) for _ in range(20)]
        await asyncio.sleep(0.01)
        with pytest.raises(Refused, match=r"against table p:d\.t, limit is 20\."):
            await update()
    await asyncio.wait_for(asyncio.gather(*waiting), 60)


async def test_a_transaction_changes_100_tables_at_most() -> None:
    async with locks().transaction() as transaction:
        for n in range(100):
            transaction.change(f"p.d.t{n}", mutates=False)
        transaction.change("p.d.t0", mutates=False)
        with pytest.raises(Refused, match="more than 100 tables"):
            transaction.change("p.d.other", mutates=False)


async def test_without_the_rule_transactions_do_not_conflict() -> None:
    own = locks(RuleLimits(rules=frozenset(RULES) - {"transaction_conflict"}))
    async with own.transaction() as first, own.transaction() as second:
        first.change("p.d.t", mutates=True)
        second.change("p.d.t", mutates=True)
