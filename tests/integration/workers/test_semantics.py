"""Batches through the real client leave in the warehouse what one by one leaves in plain lists."""

import asyncio
import uuid

from hypothesis import HealthCheck, Phase, given, settings

from ops.trial import readback
from ops.trial.model import Model
from tests.integration.workers.conftest import Local, a_while
from tests.support.deliveries import delivery
from tests.support.strategies import cut, cuts, messages
from workers.decode import decode

TABLES = ("t1", "t2", "t3")


@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking takes minutes; the unit tests' model finds small examples
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(sent=messages(TABLES, least=8, most=24), sizes=cuts(25))
def test_any_transactions_in_any_batches_leave_what_one_by_one_leaves(
    local: Local, sent: list[tuple[str, bytes]], sizes: list[int]
) -> None:
    own = f"x{uuid.uuid4().hex[:10]}_"  # tables and ids of this example's own
    sent = [
        (own + id_, data.replace(b'"table": "', b'"table": "' + own.encode())) for id_, data in sent
    ]
    model, committer = Model(), local.committer()

    async def run() -> None:
        for part in cut(sent, sizes):
            expected = [model.apply(id_, data) for id_, data in part]
            entries = [decode(delivery(data, id=id_)) for id_, data in part]
            outcomes = await committer.settle(5, entries, a_while)
            assert [each.rejection and each.rejection.reason for each in outcomes] == expected

    asyncio.run(run())

    dataset = local.settings.dataset_path
    assert local.tables(own) == model.tables.keys()
    for name, table in model.tables.items():
        declared = {column: each.bigquery for column, each in table.columns.items()}
        assert readback.types_of(local.client, f"{dataset}.{name}") == declared
        assert readback.counted(local.client, f"{dataset}.{name}", table.columns) == (
            table.counted()
        )
    ledger = local.rows(
        "SELECT id, sha256, state, reason FROM gatekeeper_ledger WHERE STARTS_WITH(id, @own)",
        own=own,
    )
    assert len(ledger) == len(model.ledger)
    for row in ledger:
        assert row.reason == model.ledger[row.id, row.sha256]
        assert row.state == ("rejected" if row.reason else "applied")
