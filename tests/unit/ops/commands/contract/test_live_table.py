import pytest
from google.cloud.bigquery import SchemaField

from ops.commands.contract.live_table import live_column
from ops.commands.contract.type_change import TypeChange, type_change
from schema import parse_type


@pytest.mark.parametrize(
    ("reported", "declared"),
    [
        ({"type": "INTEGER"}, "BIGINT"),
        ({"type": "FLOAT"}, "DOUBLE"),
        ({"type": "BOOLEAN"}, "BOOL"),
        ({"type": "STRING"}, "VARCHAR(5)"),
        ({"type": "NUMERIC"}, "DECIMAL"),
        ({"type": "NUMERIC", "precision": "10"}, "DECIMAL(10)"),
        ({"type": "NUMERIC", "precision": "10", "scale": "0"}, "DECIMAL(10,0)"),
        ({"type": "NUMERIC", "precision": "10", "scale": "2"}, "DECIMAL(10,2)"),
        ({"type": "BIGNUMERIC", "precision": "35"}, "DECIMAL(35)"),
        ({"type": "BIGNUMERIC", "precision": "38", "scale": "20"}, "NUMERIC(38,20)"),
    ],
)
def test_a_column_as_bigquery_reports_it_is_as_its_contract_says(
    reported: dict[str, str], declared: str
) -> None:
    column = live_column(SchemaField.from_api_repr({"name": "a", **reported}))

    assert type_change(column.type, parse_type(declared)) is TypeChange.NONE


@pytest.mark.parametrize(
    ("reported", "shown"),
    [
        ({"type": "STRING", "maxLength": "5"}, "STRING(5)"),
        ({"type": "BYTES", "maxLength": "4", "mode": "REPEATED"}, "ARRAY<BYTES(4)>"),
        ({"type": "RECORD"}, "STRUCT"),
    ],
)
def test_other_types_are_as_in_ddl(reported: dict[str, str], shown: str) -> None:
    assert live_column(SchemaField.from_api_repr({"name": "a", **reported})).type == shown
