"""The DDL of a contract's table, run by the embedded warehouse and judged by GoogleSQL."""

from schema import Reason
from schema.contracts import create_contract_table
from tests.integration.workers.conftest import Local, a_while
from tests.support.contracts import column, contract
from tests.support.deliveries import decoded, insert, number, text, upsert


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
