import pytest
from google.cloud import bigquery

from ops.commands.failure import CommandFailed
from ops.commands.provision.dataset import _update_fields, check_fixed_fields, ledger_table
from ops.runtime.settings import Settings

SETTINGS = Settings.parse({"LEDGER_DAYS": "7"})
DAY = 24 * 3600 * 1000


def test_the_ledger_has_a_partition_a_day_that_expires_and_is_clustered_by_id() -> None:
    table = ledger_table(SETTINGS)
    assert table.time_partitioning.field == "settled_at"
    assert table.time_partitioning.expiration_ms == 7 * DAY
    assert table.clustering_fields == ["id"]


def test_a_ledger_as_wanted_is_left_alone() -> None:
    found, wanted = ledger_table(SETTINGS), ledger_table(SETTINGS)
    check_fixed_fields(found, wanted, partitioned=True)
    assert _update_fields(found, wanted, partitioned=True) == []


def test_the_apis_older_type_names_are_the_same_types() -> None:
    found = ledger_table(SETTINGS)
    found.schema = [
        bigquery.SchemaField(each.name, each.field_type.replace("INT64", "INTEGER"))
        for each in found.schema
    ]
    check_fixed_fields(found, ledger_table(SETTINGS), partitioned=True)


def test_a_missing_column_is_added_and_the_expiry_brought_up_to_date() -> None:
    found = ledger_table(Settings.parse({"LEDGER_DAYS": "30"}))
    found.schema = [each for each in found.schema if each.name != "worker"]
    wanted = ledger_table(SETTINGS)
    assert _update_fields(found, wanted, partitioned=True) == ["schema", "time_partitioning"]
    assert [each.name for each in found.schema] == [each.name for each in wanted.schema]
    assert found.time_partitioning.expiration_ms == 7 * DAY


def test_a_column_of_another_type_is_an_error_with_its_remedy() -> None:
    found = ledger_table(SETTINGS)
    found.schema = [bigquery.SchemaField("activities", "STRING")]
    with pytest.raises(CommandFailed, match=r"activities is STRING, not INT64.*RENAME"):
        check_fixed_fields(found, ledger_table(SETTINGS), partitioned=True)


def test_a_ledger_without_partitions_is_an_error_in_the_cloud_and_fine_locally() -> None:
    found = ledger_table(SETTINGS)
    found.time_partitioning = None
    check_fixed_fields(found, ledger_table(SETTINGS), partitioned=False)
    with pytest.raises(CommandFailed, match="not partitioned by settled_at"):
        check_fixed_fields(found, ledger_table(SETTINGS), partitioned=True)
