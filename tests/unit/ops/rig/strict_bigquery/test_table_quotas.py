import asyncio
from contextlib import AsyncExitStack

import pytest

from ops.rig.strict_bigquery.documented_rules import RULES, RuleLimits
from ops.rig.strict_bigquery.refusals import Refused
from ops.rig.strict_bigquery.table_quotas import RecentTimes, TableQuotas
from tests.support.fake_clock import FakeClock


def test_a_window_admits_again_when_the_oldest_event_has_left_it() -> None:
    times = RecentTimes(2, 10)
    assert [times.admit(now) for now in (0.0, 1.0, 9.9, 10.0, 10.5, 11.0)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]


def test_the_26th_dml_statement_in_ten_seconds_is_refused_on_its_table_only() -> None:
    now = FakeClock(0.0)
    quotas = TableQuotas(RuleLimits(), now)
    for _ in range(25):
        quotas.count_dml("p.d.t")
    quotas.count_dml("p.d.u")
    with pytest.raises(Refused) as refused:
        quotas.count_dml("p.d.t")
    assert (refused.value.rule, refused.value.reason) == ("dml_rate", "rateLimitExceeded")
    now.now = 10.0
    quotas.count_dml("p.d.t")


def test_the_6th_ddl_statement_in_ten_seconds_is_refused() -> None:
    quotas = TableQuotas(RuleLimits(), FakeClock(0.0))
    for _ in range(5):
        quotas.count_ddl("p.d.t")
    with pytest.raises(Refused, match="too many table update operations"):
        quotas.count_ddl("p.d.t")


def test_a_rule_that_is_off_refuses_nothing() -> None:
    quotas = TableQuotas(RuleLimits(rules=frozenset(RULES) - {"dml_rate"}), FakeClock(0.0))
    for _ in range(100):
        quotas.count_dml("p.d.t")


async def test_after_the_day_s_inserts_some_run_and_some_wait_and_others_are_refused() -> None:
    limits = RuleLimits(daily_inserts=3, concurrent_inserts=2, queued_inserts=1)
    now = FakeClock(0.0)
    quotas = TableQuotas(limits, now)
    async with AsyncExitStack() as running:
        for _ in range(3 + 2):
            await running.enter_async_context(quotas.insert("p.d.t"))

        async def insert() -> None:
            async with quotas.insert("p.d.t"):
                pass

        waiting = asyncio.create_task(insert())
        await asyncio.sleep(0)
        with pytest.raises(Refused, match="limit is 1"):
            await insert()
        assert not waiting.done()
    await waiting
    now.now = 86_400.0
    async with quotas.insert("p.d.t"), quotas.insert("p.d.t"), quotas.insert("p.d.t"):
        pass
