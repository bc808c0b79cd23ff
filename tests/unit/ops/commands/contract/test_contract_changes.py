from collections.abc import Mapping
from typing import Any

import pytest

from ops.commands.contract.contract_changes import contract_changes
from schema.contracts import TableContract
from tests.support.contracts import column, contract

ID = column("id", "INTEGER", primaryKey=True)


def price(physical: str = "DECIMAL(10,2)", **options: Any) -> dict[str, Any]:
    return column("price", physical, logicalType="number", logicalTypeOptions=options)


def item(physical: str = "TEXT", **fields: Any) -> dict[str, Any]:
    options = {
        name: fields.pop(name) for name in ("minLength", "maxLength", "pattern") if name in fields
    }
    return column("item", physical, logicalType="string", logicalTypeOptions=options, **fields)


def state(*values: str) -> dict[str, Any]:
    rule = {"metric": "invalidValues", "arguments": {"validValues": [*values]}, "mustBe": 0}
    return column("state", quality=[rule] if values else [])


def orders(*columns: Mapping[str, Any], **fields: Any) -> TableContract:
    return contract("orders", ID, *columns, **fields)


def custom(**values: Any) -> TableContract:
    at = column("at", "TIMESTAMP", partitioned=True)
    return orders(item(), at, custom=values)


def hidden(transform: str) -> list[dict[str, str]]:
    return [{"property": "gatekeeper.transform", "value": transform}]


BREAKING = {
    "removed column": (orders(item(), price()), orders(item())),
    "renamed column": (orders(item()), orders(column("article"))),
    "retyped column": (orders(item()), orders(item("BYTES"))),
    "type of another family": (orders(column("n", "INTEGER")), orders(column("n", "DECIMAL"))),
    "narrower decimal": (orders(price()), orders(price("DECIMAL(8,2)"))),
    "fewer digits before the point": (orders(price()), orders(price("DECIMAL(10,4)"))),
    "shorter VARCHAR": (orders(item("VARCHAR(40)")), orders(item("VARCHAR(20)"))),
    "a text gets a length": (orders(item()), orders(item("VARCHAR(20)"))),
    "new required column": (orders(), orders(item(required=True))),
    "column becomes required": (orders(item()), orders(item(required=True))),
    "higher minimum": (orders(price(minimum=0)), orders(price(minimum=1))),
    "minimum itself excluded": (orders(price(minimum=0)), orders(price(exclusiveMinimum=0))),
    "new maximum": (orders(price()), orders(price(maximum=100))),
    "longer minLength": (orders(item(minLength=1)), orders(item(minLength=2))),
    "new pattern": (orders(item()), orders(item(pattern="^[a-z]+$"))),
    "other pattern": (orders(item(pattern="^[a-z]+$")), orders(item(pattern="^[a-y]+$"))),
    "removed enum value": (orders(state("new", "paid")), orders(state("new"))),
    "new enum": (orders(state()), orders(state("new"))),
    "other key": (orders(item()), orders(item(primaryKey=True))),
    "inserts of a known key": (custom(), custom(duplicate="reject")),
    "stricter mode": (custom(mode="report"), custom(mode="freeze")),
    "listed instead of accepted": (custom(mode="evolve"), custom(mode="report")),
    "hashed values": (orders(item()), orders(item(customProperties=hidden("hash")))),
    "other partitions": (custom(), custom(partitionGranularity="MONTH")),
    "rows expire": (custom(), custom(partitionExpirationDays=30)),
    "retired": (orders(), orders(status="retired")),
}
COMPATIBLE = {
    "new column": (orders(), orders(item())),
    "wider decimal": (orders(price()), orders(price("DECIMAL(12,2)"))),
    "decimal without parameters": (orders(price()), orders(price("DECIMAL"))),
    "longer VARCHAR": (orders(item("VARCHAR(20)")), orders(item("VARCHAR(40)"))),
    "another name of the same type": (orders(item("TEXT")), orders(item("STRING"))),
    "no longer required": (orders(item(required=True)), orders(item())),
    "lower minimum": (orders(price(minimum=1)), orders(price(minimum=-1))),
    "maximum itself included": (orders(price(exclusiveMaximum=9)), orders(price(maximum=9))),
    "no maximum": (orders(price(maximum=100)), orders(price())),
    "shorter minLength": (orders(item(minLength=2)), orders(item(minLength=1))),
    "no pattern": (orders(item(pattern="^[a-z]+$")), orders(item())),
    "new enum value": (orders(state("new")), orders(state("new", "paid"))),
    "no enum": (orders(state("new")), orders(state())),
    "looser mode": (custom(mode="freeze"), custom(mode="report")),
    "rows expire later": (custom(partitionExpirationDays=9), custom(partitionExpirationDays=10)),
    "clustering": (custom(), custom(clustering=["item"])),
    "labels": (custom(), custom(labels={"team": "shop"})),
    "description": (orders(item()), orders(item(description="the article"))),
    "classification": (orders(item()), orders(item(classification="internal"))),
    "draft": (orders(), orders(status="draft")),
    "order of columns": (orders(item(), price()), orders(price(), item())),
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_change_that_may_refuse_or_lose_something_is_breaking(name: str) -> None:
    old, new = BREAKING[name]
    assert "breaking" in {each.compatibility for each in contract_changes([old], [new])}


@pytest.mark.parametrize("name", COMPATIBLE)
def test_a_change_that_only_allows_more_is_compatible(name: str) -> None:
    old, new = COMPATIBLE[name]
    found = list(contract_changes([old], [new]))
    assert {each.compatibility for each in found} <= {"compatible"}, found
    assert found or name == "order of columns"


@pytest.mark.parametrize("name", BREAKING | COMPATIBLE)
def test_nothing_has_changed_against_itself(name: str) -> None:
    for each in (BREAKING | COMPATIBLE)[name]:
        assert not list(contract_changes([each], [each]))


def test_a_change_names_the_column_and_both_values() -> None:
    old, new = orders(price(minimum=0)), orders(price("DECIMAL(12,2)", exclusiveMinimum=0.5))
    assert [(each.place, *each[2:]) for each in contract_changes([old], [new])] == [
        ("orders.price", "compatible", "wider type: NUMERIC(10,2) → NUMERIC(12,2)"),
        ("orders.price", "breaking", "minimum: 0 → 0.5 (excluded)"),
    ]


def test_tables_without_a_contract_on_one_side_are_listed() -> None:
    found = contract_changes([contract("gone")], [contract("come")])
    assert [each[:1] + each[2:] for each in found] == [
        ("come", "compatible", "new contract"),
        ("gone", "breaking", "the contract is removed"),
    ]
