"""Every type against every other, as the table of BigQuery's documentation has it."""

import itertools

import pytest
from sqlglot import exp, parse_one

from ops.local.bigquery import coercions

# "Coerce to" of https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules
DOCUMENTED = {
    "INT64": {"NUMERIC", "BIGNUMERIC", "FLOAT64"},
    "NUMERIC": {"BIGNUMERIC", "FLOAT64"},
    "BIGNUMERIC": {"FLOAT64"},
    "FLOAT64": set(),
    "BOOL": set(),
    "STRING": set(),
    "BYTES": set(),
    "DATE": {"DATETIME"},
    "DATETIME": set(),
    "TIME": set(),
    "TIMESTAMP": set(),
    "JSON": set(),
}
TEMPORAL = {"DATE", "DATETIME", "TIME", "TIMESTAMP"}


def kind(name: str) -> exp.DataType:
    return exp.DataType.build(name, dialect="bigquery")


def typed(name: str, sql: str = "a_column") -> exp.Expr:
    value: exp.Expr = parse_one(sql, dialect="bigquery")
    value.type = kind(name)
    return value


@pytest.mark.parametrize(("given", "wanted"), [*itertools.product(DOCUMENTED, DOCUMENTED)])
def test_a_column_coerces_as_documented(given: str, wanted: str) -> None:
    expected = given == wanted or wanted in DOCUMENTED[given]
    assert coercions.coerces(typed(given), kind(wanted)) == expected
    array = coercions.coerces(typed(f"ARRAY<{given}>"), kind(f"ARRAY<{wanted}>"))
    assert array == (given == wanted)
    assert not coercions.coerces(typed(f"ARRAY<{given}>"), kind(wanted))


@pytest.mark.parametrize("wanted", DOCUMENTED)
def test_a_string_literal_or_parameter_coerces_to_dates_and_times(wanted: str) -> None:
    literal, parameter = typed("STRING", "'x'"), typed("STRING", "CAST(NULL AS STRING)")
    parameter.meta[coercions.PARAMETER] = True
    for value in (literal, parameter):
        assert coercions.coerces(value, kind(wanted)) == (wanted in {"STRING", *TEMPORAL})


@pytest.mark.parametrize("wanted", DOCUMENTED)
def test_a_float_literal_coerces_to_numeric(wanted: str) -> None:
    for sql in ("1.5", "-1.5"):
        value = coercions.coerces(typed("FLOAT64", sql), kind(wanted))
        assert value == (wanted in {"FLOAT64", "NUMERIC", "BIGNUMERIC"})


@pytest.mark.parametrize("wanted", [*DOCUMENTED, "ARRAY<INT64>", "STRUCT<a INT64>"])
def test_null_and_what_is_not_known_coerce_to_everything(wanted: str) -> None:
    assert coercions.coerces(exp.Null(), kind(wanted))
    assert coercions.coerces(exp.column("unknown"), kind(wanted))
