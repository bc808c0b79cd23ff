import pytest

from ops.commands.contract.type_change import TypeChange, type_change
from schema import parse_type


@pytest.mark.parametrize(
    ("live", "wanted", "expected"),
    [
        ("STRING", "VARCHAR(9)", "NONE"),
        ("NUMERIC(10,2)", "DECIMAL(10,2)", "NONE"),
        ("NUMERIC(10,0)", "DECIMAL(10)", "NONE"),
        ("BIGNUMERIC(35,0)", "DECIMAL(35)", "NONE"),
        ("BOOL", "BOOLEAN", "NONE"),
        ("FLOAT64", "DOUBLE", "NONE"),
        ("BYTES", "BINARY(4)", "NONE"),
        ("NUMERIC(10,2)", "DECIMAL(12,3)", "EXACT"),
        ("NUMERIC(10,0)", "DECIMAL(12)", "EXACT"),
        ("BIGNUMERIC(35,10)", "DECIMAL(38,12)", "EXACT"),
        ("BYTES(4)", "BLOB", "EXACT"),
        ("NUMERIC(10,2)", "DECIMAL", "EXACT"),
        ("NUMERIC(10,2)", "DECIMAL(38,20)", "EXACT"),
        ("STRING(9)", "TEXT", "EXACT"),
        ("INT64", "DECIMAL", "EXACT"),
        ("INT64", "DECIMAL(22,3)", "EXACT"),
        ("DATE", "DATETIME", "EXACT"),
        ("INT64", "DOUBLE", "INEXACT"),
        ("NUMERIC", "DOUBLE", "INEXACT"),
        ("INT64", "DECIMAL(10,2)", "IMPOSSIBLE"),
        ("NUMERIC", "DECIMAL(10,2)", "IMPOSSIBLE"),
        ("NUMERIC(10,2)", "DECIMAL(10,3)", "IMPOSSIBLE"),
        ("NUMERIC(10,0)", "DECIMAL(9)", "IMPOSSIBLE"),
        ("BIGNUMERIC(38,12)", "DECIMAL(38,13)", "IMPOSSIBLE"),
        ("BIGNUMERIC", "DECIMAL(38,20)", "IMPOSSIBLE"),
        ("BIGNUMERIC", "DECIMAL", "IMPOSSIBLE"),
        ("STRING", "INTEGER", "IMPOSSIBLE"),
        ("DATETIME", "TIMESTAMP", "IMPOSSIBLE"),
        ("ARRAY<INT64>", "INTEGER", "IMPOSSIBLE"),
        ("STRUCT", "JSON", "IMPOSSIBLE"),
    ],
)
def test_only_a_type_that_keeps_every_value_is_exact(live: str, wanted: str, expected: str) -> None:
    assert type_change(live, parse_type(wanted)) is TypeChange[expected]
