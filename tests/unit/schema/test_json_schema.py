import re

import pytest

from schema import json_schemas, types, validators
from schema.json_schema import VALUES

SCHEMAS = json_schemas("#/")


def column_type(text: str) -> bool:
    form = SCHEMAS["ColumnType"]
    return len(text) <= form["maxLength"] and bool(re.search(form["pattern"], text))


@pytest.mark.parametrize("name", [*types.SIMPLE, *types.DECIMALS])
def test_every_type_is_described_in_any_case(name: str) -> None:
    for text in (name, name.lower(), f" {name.title()} ", name.replace(" ", "\t  ")):
        types.parse_type(text)
        assert column_type(text)
    assert name in SCHEMAS["ColumnType"]["description"]


@pytest.mark.parametrize(
    "text", ["varchar(3)", "BINARY ( 12 )", "DECIMAL(10)", "numeric( 10 , 2 )", "double  precision"]
)
def test_types_with_parameters_are_described(text: str) -> None:
    types.parse_type(text)
    assert column_type(text)


@pytest.mark.parametrize("text", ["", "INTEGER(1)", "VARCHAR", "GEOMETRY", "INT EGER", "x" * 101])
def test_what_is_no_type_is_not_described(text: str) -> None:
    with pytest.raises(types.UnknownType):
        types.parse_type(text)
    assert not column_type(text)


def test_every_bigquery_type_has_its_value_described() -> None:
    bases = {ctype.base for ctype in types.SIMPLE.values()} | {
        base for base, _ in types.SIZED.values()
    }
    assert bases | {"NUMERIC or BIGNUMERIC"} == set(VALUES)


@pytest.mark.parametrize("name", ["gatekeeper_x", "GateKeeper_", "1a", "a-b", "", "a" * 1_025])
def test_a_table_that_the_schema_refuses_the_rule_refuses(name: str) -> None:
    form = SCHEMAS["TableName"]
    assert not re.search(form["pattern"], name) or re.search(form["not"]["pattern"], name)
    with pytest.raises(validators.RuleViolation):
        validators.table_name(name)


@pytest.mark.parametrize("prefix", validators.RESERVED_COLUMN_PREFIXES)
def test_reserved_columns_are_described_in_any_case(prefix: str) -> None:
    for name in (f"{prefix}x", f"{prefix}x".upper()):
        assert re.search(SCHEMAS["ColumnName"]["not"]["pattern"], name)
        with pytest.raises(validators.RuleViolation):
            validators.column_name(name)


def test_only_the_key_of_an_upsert_may_be_left_out() -> None:
    for operation in ("Insert", "Delete", "Update", "Upsert"):
        form = SCHEMAS[operation]
        optional = ["key"] if operation == "Upsert" else []
        assert [name for name in form["properties"] if name not in form["required"]] == optional
