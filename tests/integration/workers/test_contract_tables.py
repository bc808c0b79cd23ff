"""The DDL of a contract's table, run by the embedded warehouse and judged by GoogleSQL."""

import asyncio
import contextlib
from typing import Any

import pytest

from ops.runtime.warehouse_errors import WarehouseUnavailable
from schema import Reason, Rejection, lane_of
from schema.contracts import TableContract, create_contract_table
from tests.integration.workers.conftest import Local, a_while
from tests.support.contracts import column, contract
from tests.support.deliveries import decoded, delete, insert, number, text, upsert
from workers.commit import Committer
from workers.outcomes import Outcome


def test_a_table_is_made_with_partition_clustering_key_and_descriptions(
    local: Local, name: str
) -> None:
    wanted = contract(
        name,
        column("id", "INTEGER", primaryKey=True),
        column("item", required=True, description='The "article"\n'),
        column("placed_at", "TIMESTAMP", partitioned=True),
        custom={"mode": "freeze", "clustering": ["item"], "labels": {"team": "shop"}},
    )
    statement = create_contract_table(local.settings.dataset_path, wanted)
    local.rows(statement)
    local.rows(statement)  # another worker may have been first
    found = local.client.get_table(f"{local.settings.dataset_path}.{name}")
    assert [(each.name, each.mode) for each in found.schema] == [
        ("id", "REQUIRED"),
        ("item", "REQUIRED"),
        ("placed_at", "NULLABLE"),
    ]
    assert found.schema[1].description == 'The "article"'
    assert found.time_partitioning.field == "placed_at"
    assert found.clustering_fields == ["item"]
    assert found.labels == {"team": "shop"}
    assert found.to_api_repr()["tableConstraints"] == {"primaryKey": {"columns": ["id"]}}


async def test_a_worker_makes_a_table_by_its_contract_and_rejects_what_it_cannot_hold(
    local: Local, name: str
) -> None:
    wanted = contract(
        name,
        column("id", "INTEGER", primaryKey=True),
        column("item", required=True),
        column("day", "DATE", partitioned=True),
        custom={"mode": "freeze"},
    )
    committer = local.committer()
    committer.contracts = lambda: {name: wanted}
    sent = [
        decoded(insert(name, id=number(1), item=text("pear"))),
        decoded(insert(name, id=number(2), item=text(None))),
        decoded(insert(name, id=number(3), item=text("fig"), itme=text("fig"))),
    ]
    outcomes = await committer.settle(5, sent, a_while)
    assert [each.rejection and each.rejection.reason for each in outcomes] == [
        None,
        Reason.CONTRACT,
        Reason.CONTRACT,
    ]
    assert [tuple(row.values()) for row in local.rows(f"SELECT * FROM {name}")] == [
        (1, "pear", None)
    ]
    found = local.client.get_table(f"{local.settings.dataset_path}.{name}")
    assert found.time_partitioning.field == "day"


async def test_an_upsert_without_a_key_changes_the_row_with_its_primary_key(
    local: Local, name: str
) -> None:
    committer = local.committer()
    wanted = contract(name, column("id", "INTEGER", primaryKey=True), column("item"), column("b"))
    committer.contracts = lambda: {name: wanted}
    sent = [
        decoded(upsert(name, id=number(1), item=text("pear"), b=text("stays"))),
        decoded(upsert(name, id=number(2), item=text("fig"))),
    ]
    again = [
        decoded(upsert(name, ID=number(1), item=text("plum"))),
        decoded(upsert(name, item=text("none"))),
    ]
    for part in (sent, again):
        outcomes = await committer.settle(5, part, a_while)
    assert [each.rejection and each.rejection.reason for each in outcomes] == [
        None,
        Reason.CONTRACT,
    ]
    committer.contracts = dict
    (outcome,) = await committer.settle(5, [decoded(upsert(name, id=number(3)))], a_while)
    assert outcome.rejection
    assert outcome.rejection.reason is Reason.CONTRACT
    rows = local.rows(f"SELECT id, item, b FROM {name} ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [(1, "plum", "stays"), (2, "fig", None)]


def _unique(name: str, duplicate: str) -> dict[str, TableContract]:
    columns = (column("id", "INTEGER", primaryKey=True), column("item"), column("b"))
    return {name: contract(name, *columns, custom={"duplicate": duplicate})}


async def test_an_insert_of_a_key_that_exists_is_rejected_and_its_neighbours_are_applied(
    local: Local, name: str
) -> None:
    committer = local.committer()
    committer.contracts = lambda: _unique(name, "reject")
    batches = [
        [decoded(insert(name, id=number(n), item=text("old"))) for n in (1, 2, 3)],
        [
            decoded(insert(name, id=number(4), item=text("new"))),
            decoded(insert(name, id=number(5)), insert(name, id=number(1))),
            decoded(delete(name, id=number(2)), insert(name, id=number(2), item=text("new"))),
            decoded(insert(name, id=number(4))),
            decoded(insert(name, id=number(3))),
        ],
        # A delete by another column: which keys it leaves, the table has to say in between.
        [
            decoded(delete(name, item=text("old")), insert(name, id=number(3), item=text("new"))),
            decoded(delete(name, item=text("none")), insert(name, id=number(4))),
            decoded(insert(name, id=number(9), item=text("new"))),
        ],
    ]
    found = []
    for batch in batches:
        outcomes = await committer.settle(5, batch, a_while)
        found.append([each.rejection for each in outcomes])
    kept = [[each and each.reason for each in batch] for batch in found]
    refused = Reason.CONTRACT
    assert kept == [[None] * 3, [None, refused, None, refused, refused], [None, refused, None]]
    assert found[2][1]
    assert found[2][1].error.startswith(f"{name} has a row with id = 4 already (contract {name} ")
    rows = local.rows(f"SELECT id, item FROM {name} ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [(n, "new") for n in (2, 3, 4, 9)]


async def test_an_insert_of_a_key_that_exists_becomes_an_upsert(local: Local, name: str) -> None:
    committer = local.committer()
    committer.contracts = lambda: _unique(name, "upsert")
    for values in ({"item": text("pear"), "b": text("stays")}, {"item": text("plum")}):
        (outcome,) = await committer.settle(
            5, [decoded(insert(name, id=number(1), **values))], a_while
        )
        assert outcome.rejection is None
    assert [tuple(row.values()) for row in local.rows(f"SELECT id, item, b FROM {name}")] == [
        (1, "plum", "stays")
    ]


@pytest.mark.parametrize(("duplicate", "rows"), [("allow", 2 * 8), ("reject", 8), ("upsert", 8)])
async def test_workers_that_insert_the_same_keys_in_two_lanes_at_the_same_time(
    local: Local, name: str, duplicate: str, rows: int
) -> None:
    """With `allow` every key is there twice: what the locks prevent."""
    contracts = _unique(name, duplicate)
    workers = [local.committer(worker=f"worker {n}") for n in range(2)]
    for worker in workers:
        worker.contracts = lambda: contracts
    first = [decoded(insert(name, id=number(-1)))]
    await workers[0].settle(lane_of(name), first, a_while)
    lanes = [lane for lane in (11, 12, 13) if lane != lane_of(name)]

    async def insert_all(worker: Committer, lane: int) -> list[Rejection | None]:
        found: list[Rejection | None] = []
        for n in range(8):
            found += [e.rejection for e in await _held(worker, lane, insert(name, id=number(n)))]
        return found

    found = await asyncio.gather(*map(insert_all, workers, lanes))

    assert local.rows(f"SELECT COUNT(*) AS n FROM {name} WHERE id >= 0")[0]["n"] == rows
    rejected = [each for outcomes in found for each in outcomes if each]
    assert len(rejected) == (8 if duplicate == "reject" else 0)


async def _held(worker: Committer, lane: int, activity: dict[str, Any]) -> list[Outcome]:
    """Settle one transaction as a worker does: again while another worker is in the way."""
    message = decoded(activity)
    while True:
        with contextlib.suppress(WarehouseUnavailable):
            return await worker.settle(lane, [message], a_while)
