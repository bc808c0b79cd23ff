import json
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest
import yaml

from schema.contracts import Duplicate, Granularity, InvalidContracts, Mode, Partition, Transform
from schema.odcs import read_contracts
from tests.support.contracts import column, contract, contract_text, custom_properties

WHOLE = """\
apiVersion: v3.1.0
kind: DataContract
id: 7b2f
name: orders
version: 2.1.0
status: active
team:
  name: shop
  members:
    - {username: bo, role: Reader}
    - {username: ada, role: Owner}
customProperties:
  - {property: gatekeeper.mode, value: freeze}
  - {property: gatekeeper.notify, value: https://hooks.example.com/shop}
  - {property: costCentre, value: 12}
schema:
  - name: Orders
    physicalName: orders
    description: One row an order.
    customProperties:
      - {property: gatekeeper.duplicate, value: upsert}
      - {property: gatekeeper.clustering, value: [customer, item]}
      - {property: gatekeeper.partitionGranularity, value: MONTH}
      - {property: gatekeeper.partitionExpirationDays, value: 400}
      - {property: gatekeeper.labels, value: {team: shop}}
    properties:
      - {name: line, physicalType: INTEGER, primaryKey: true, primaryKeyPosition: 2}
      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
      - name: item
        logicalType: string
        physicalType: VARCHAR(40)
        required: true
        description: The article
        examples: [pear]
        logicalTypeOptions: {minLength: 2, maxLength: 60, pattern: "^[a-z]+$"}
      - {name: customer, logicalType: string, classification: confidential,
         customProperties: [{property: gatekeeper.transform, value: hash}]}
      - name: price
        logicalType: number
        physicalType: DECIMAL(10,2)
        logicalTypeOptions: {minimum: 0, exclusiveMaximum: 999.5}
      - name: state
        logicalType: string
        quality:
          - {metric: invalidValues, arguments: {validValues: [new, paid]}, mustBe: 0}
          - {metric: nullValues, mustBe: 0}
          - {type: text, description: looks right}
      - {name: placed_at, logicalType: timestamp, partitioned: true,
         logicalTypeOptions: {minimum: "2020-01-01T01:00:00+01:00"}}
"""


def faults(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(InvalidContracts) as caught:
        read_contracts("a.yaml", text)
    assert {fault.file for fault in caught.value.faults} == {"a.yaml"}
    return [fault[1:] for fault in caught.value.faults]


def messages(*columns: dict[str, Any], **fields: Any) -> str:
    return "\n".join(
        f"{field}: {text}" for _, field, text in faults(contract_text("t", *columns, **fields))
    )


def test_a_table_has_all_that_its_file_says() -> None:
    (orders,) = read_contracts("orders.yaml", WHOLE)
    assert (orders.table, orders.contract, orders.id) == ("orders", "orders", "7b2f")
    assert (orders.version, orders.status) == ("2.1.0", "active")
    assert (orders.team, orders.owner) == ("shop", "ada")
    assert (orders.mode, orders.duplicate) == (Mode.FREEZE, Duplicate.UPSERT)
    assert orders.primary_key == ("id", "line")
    assert orders.partition == Partition("placed_at", Granularity.MONTH, 400)
    assert orders.clustering == ("customer", "item")
    assert orders.labels == {"team": "shop"}
    assert orders.notify == "https://hooks.example.com/shop"
    assert (orders.file, orders.line) == ("orders.yaml", 17)
    assert orders.title == "contract orders 2.1.0, team shop"
    assert [each.name for each in orders.columns if each.required] == [
        "line",
        "id",
        "item",
        "state",
    ]


def test_a_column_has_its_rules_in_the_canonical_form_of_its_type() -> None:
    (orders,) = read_contracts("orders.yaml", WHOLE)
    columns = {each.name: each for each in orders.columns}
    item = columns["item"]
    assert (item.declared, item.type.bigquery) == ("VARCHAR(40)", "STRING")
    assert (item.min_length, item.max_length, item.pattern) == (2, 40, "^[a-z]+$")
    assert (item.description, item.examples) == ("The article", ("pear",))
    assert columns["customer"].transform is Transform.HASH
    assert columns["customer"].classification == "confidential"
    assert columns["price"].type.bigquery == "NUMERIC(10,2)"
    assert (columns["price"].minimum, columns["price"].exclusive_maximum) == ("0", "999.5")
    assert columns["state"].enum == ("new", "paid")
    assert columns["placed_at"].minimum == "2020-01-01 00:00:00+00:00"
    assert orders.column("ITEM") is item


@pytest.mark.parametrize(
    ("fields", "bigquery"),
    [
        ({"logicalType": "string"}, "STRING"),
        ({"logicalType": "string", "logicalTypeOptions": {"format": "binary"}}, "BYTES"),
        ({"logicalType": "integer"}, "INT64"),
        ({"logicalType": "number"}, "NUMERIC"),
        ({"logicalType": "number", "logicalTypeOptions": {"format": "f64"}}, "FLOAT64"),
        ({"logicalType": "boolean"}, "BOOL"),
        ({"logicalType": "date"}, "DATE"),
        ({"logicalType": "time"}, "TIME"),
        ({"logicalType": "timestamp"}, "TIMESTAMP"),
        ({"logicalType": "timestamp", "logicalTypeOptions": {"timezone": False}}, "DATETIME"),
        ({"logicalType": "object"}, "JSON"),
        ({"logicalType": "array", "items": {"logicalType": "string"}}, "JSON"),
        ({"logicalType": "string", "physicalType": "bytea"}, "BYTES"),
    ],
)
def test_a_logical_type_stands_for_a_bigquery_type(fields: dict[str, Any], bigquery: str) -> None:
    assert contract("t", {"name": "a", **fields}).columns[0].type.bigquery == bigquery


def test_what_a_contract_sets_is_the_default_of_its_tables() -> None:
    text = contract_text(customProperties=custom_properties({"mode": "report"}))
    (orders,) = read_contracts("a.yaml", text)
    assert orders.mode is Mode.REPORT


def test_a_contract_without_a_mode_evolves() -> None:
    assert contract().mode is Mode.EVOLVE


def test_a_fault_has_its_line_and_its_field() -> None:
    text = WHOLE.replace("physicalType: INTEGER", "physicalTyp: INTEGER")
    assert faults(text) == [
        (
            27,
            "schema[0].properties[0].physicalTyp",
            "the standard has no field `physicalTyp`; did you mean `physicalType`?",
        ),
        (
            27,
            "schema[0].properties[0]",
            "a column needs a physicalType or a logicalType",
        ),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a contract is a mapping"),
        ("- 1", "a contract is a mapping"),
        ("a: [", "this is not YAML"),
        ("a: 1\n---\nb: 1", "this is not YAML"),
        ("&a [*a]", "this is not YAML"),
        ("id: 1\nid: 2", "twice"),
        ("schema: 3", "valid list"),
        ("id: [1]", "valid string"),
        ("idd: x", "no field `idd`; did you mean `id`?"),
        (WHOLE.replace("v3.1.0", "v2.2.0"), "v2.2.0 is not supported"),
        (WHOLE.replace("status: active\n", ""), "the field status is missing"),
    ],
)
def test_a_file_that_is_no_contract_is_refused(text: str, message: str) -> None:
    assert any(message in each for _, _, each in faults(text))


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (column("a b"), "name: a column's name has"),
        (column("_partitiontime"), "BigQuery reserves"),
        (column("a", "VARCHAR"), "VARCHAR needs one length"),
        ({"name": "a"}, "needs a physicalType or a logicalType"),
        ({"name": "a", "logicalType": "strng"}, "did you mean `string`?"),
        (column("a", logicalTypeOptions={"pattern": "a"}), "need a logicalType"),
        (
            column("a", logicalType="string", logicalTypeOptions={"patern": "a"}),
            "string has no option `patern`; did you mean `pattern`?",
        ),
        (
            column("a", logicalType="string", logicalTypeOptions={"pattern": "(?=a)"}),
            "RE2 does not take this pattern",
        ),
        (
            column("a", logicalType="string", logicalTypeOptions={"minLength": -1}),
            "a whole number of 0 or more",
        ),
        (
            column("a", "INTEGER", logicalType="integer", logicalTypeOptions={"minimum": 1.5}),
            "a whole number is written without fraction",
        ),
        (
            column("a", "TEXT", logicalType="integer", logicalTypeOptions={"minimum": 1}),
            "STRING takes no minimum",
        ),
        (
            column("a", quality=[{"metric": "invalidValues", "mustBe": 0}]),
            "needs validValues, a list, or a pattern",
        ),
        (
            column(
                "a",
                quality=[
                    {
                        "metric": "invalidValues",
                        "mustBe": 0,
                        "arguments": {"validValues": ["yes", False]},
                    }
                ],
            ),
            "arguments.validValues[1]: STRING takes a string, not a boolean",
        ),
        (column("a", "JSON", primaryKey=True), "JSON cannot be part of a primary key"),
        (column("a", partitioned=True), "a table is partitioned by"),
        (
            column("a", "INTEGER", customProperties=custom_properties({"transform": "hash"})),
            "the column must be a STRING",
        ),
        (
            column("a", customProperties=custom_properties({"transfrom": "hash"})),
            "there is no gatekeeper.transfrom here; did you mean `transform`?",
        ),
        (column("a", description="x" * 1025), "at most 1,024 characters"),
    ],
)
def test_a_wrong_column_is_refused(field: dict[str, Any], message: str) -> None:
    assert message in messages(field, column("b"))


@pytest.mark.parametrize(
    ("custom", "message"),
    [
        ({"mode": "frozen"}, "one of evolve, report, freeze"),
        ({"moed": "freeze"}, "there is no gatekeeper.moed here; did you mean `mode`?"),
        ({"clustering": ["idd"]}, "no column `idd`; did you mean `id`?"),
        ({"clustering": ["doc"]}, "doc is JSON"),
        ({"clustering": ["id", "ID"]}, "each once"),
        ({"partitionGranularity": "WEEK"}, "one of HOUR"),
        ({"partitionExpirationDays": 0}, "a number of days above 0"),
        ({"labels": {"Team": "x"}}, "is no label"),
        ({"labels": ["x"]}, "a mapping of label to value"),
        ({"duplicate": "reject"}, "needs a primary key"),
        ({"notify": 3}, "a text is expected"),
    ],
)
def test_a_wrong_custom_property_is_refused(custom: dict[str, Any], message: str) -> None:
    assert message in messages(column("id"), column("doc", "JSON"), custom=custom)


def test_two_columns_differ_in_more_than_case() -> None:
    assert "A is there twice" in messages(column("a"), column("A"))


def test_a_table_has_one_partition_column() -> None:
    dates = [column(name, "DATE", partitioned=True) for name in "ab"]
    assert "by one column" in messages(*dates)
    assert "no hours" in messages(dates[0], custom={"partitionGranularity": "HOUR"})


def test_quality_rules_on_more_than_one_value_are_left_to_others() -> None:
    rules = [
        {"metric": "invalidValues", "mustBeLessThan": 5, "arguments": {"validValues": ["a"]}},
        {"metric": "duplicateValues", "mustBe": 0},
        {"type": "sql", "query": "SELECT 1", "mustBe": 1},
    ]
    found = contract("t", column("a", quality=rules)).columns[0]
    assert (found.enum, found.required) == ((), False)


@pytest.mark.parametrize("text", [WHOLE, contract_text()])
def test_the_files_of_these_tests_are_valid_by_the_standards_own_schema(text: str) -> None:
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text())
    jsonschema_rs.validate(schema, yaml.safe_load(text))
