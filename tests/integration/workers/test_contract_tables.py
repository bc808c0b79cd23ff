"""The DDL of a contract's table, run by the embedded warehouse and judged by GoogleSQL."""

from schema.contracts import create_contract_table
from tests.integration.workers.conftest import Local
from tests.support.contracts import column, contract


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
    text = create_contract_table(local.settings.dataset_path, wanted)
    local.rows(text)
    local.rows(text)  # another worker may have been first
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
