"""An upsert without a key has the primary key of its table's contract."""

from typing import Any

import pytest

from schema import Activity, check_body
from schema.contracts import TableContract, open_key_faults, with_primary_key
from tests.support.contracts import column, contract
from tests.support.deliveries import body, insert, number, text, upsert

ORDERS = contract(
    "orders",
    column("shop", "TEXT", primaryKey=True, primaryKeyPosition=2),
    column("id", "INTEGER", primaryKey=True, primaryKeyPosition=1),
    column("item"),
)
CONTRACTS = {"orders": ORDERS, "keyless": contract("keyless", column("id", "INTEGER"))}


def activity_of(sent: dict[str, Any]) -> Activity:
    return check_body(body(sent)).activities[0]


def faults(*sent: dict[str, Any], **contracts: TableContract) -> list[tuple[str, str, str, Any]]:
    found = open_key_faults(check_body(body(*sent)), contracts or CONTRACTS)
    return [tuple(each) for each in found]


def test_it_is_the_upsert_that_names_the_primary_key() -> None:
    row = {"SHOP": text("a"), "Id": number(1), "item": text(None)}
    assert not faults(upsert("orders", **row))
    found = with_primary_key(activity_of(upsert("orders", **row)), ORDERS)
    assert found == activity_of(upsert("orders", "id", "shop", **row))
    assert not found.has_open_key


def test_only_an_upsert_without_a_key_has_an_open_key() -> None:
    row = {"id": number(1), "shop": text("a")}
    assert activity_of(upsert("orders", **row)).has_open_key
    for other in (insert("orders", **row), upsert("orders", "id", **row)):
        assert not activity_of(other).has_open_key
        assert not faults(other)


@pytest.mark.parametrize("table", ["keyless", "unknown"])
def test_without_a_primary_key_the_key_is_required(table: str) -> None:
    sent = upsert(table, id=number(1))
    message = "no `key`, and no contract of the table has a primary key"
    assert faults(insert("orders", id=number(1)), sent) == [
        ("/activities/1/key", "required", message, None)
    ]


def test_a_column_of_the_primary_key_that_is_missing_or_null_is_a_fault_of_the_key() -> None:
    title = "(contract orders 2.1.0, team shop)"
    assert faults(upsert("orders", item=text("x"), shop=text(None))) == [
        (
            "/activities/0/key",
            "key",
            f"the key `id` is not one of col_names: add the column {title}",
            None,
        ),
        (
            "/activities/0/col_values/1",
            "key",
            f"`shop` is in the key: send a value that is not null {title}",
            None,
        ),
    ]


def test_no_more_faults_are_looked_for_than_asked() -> None:
    sent = check_body(body(*[upsert("unknown", id=number(1))] * 9))
    assert [each.pointer for each in open_key_faults(sent, {}, most=2)] == [
        "/activities/0/key",
        "/activities/1/key",
    ]
