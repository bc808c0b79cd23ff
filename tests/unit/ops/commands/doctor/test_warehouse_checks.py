import pytest
from google.cloud import bigquery

from ops.commands.doctor import warehouse_checks
from ops.commands.doctor.check_result import CheckFailed
from ops.commands.provision import dataset
from ops.runtime.settings import Settings


def test_a_ledger_without_a_column_or_with_another_type_is_wrong() -> None:
    wanted = dataset.ledger_table(Settings.parse({}))
    lacking = bigquery.Table(str(wanted.reference), schema=wanted.schema[:-1])
    with pytest.raises(CheckFailed, match="lacks worker") as caught:
        warehouse_checks.check_ledger_table(lacking, wanted, partitioned=False)
    assert caught.value.remedy == "gatekeeper provision"
    other = [bigquery.SchemaField("id", "INT64"), *wanted.schema[1:]]
    with pytest.raises(CheckFailed, match="column id is INTEGER"):
        warehouse_checks.check_ledger_table(
            bigquery.Table(str(wanted.reference), schema=other), wanted, partitioned=False
        )
    unpartitioned = bigquery.Table(str(wanted.reference), schema=wanted.schema)
    with pytest.raises(CheckFailed, match="not partitioned"):
        warehouse_checks.check_ledger_table(unpartitioned, wanted, partitioned=True)
    warehouse_checks.check_ledger_table(wanted, wanted, partitioned=True)
