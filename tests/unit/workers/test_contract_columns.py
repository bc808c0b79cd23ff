"""A batch is planned by the contracts in force, and by what its tables can hold."""

from typing import Any

import pytest

from schema import Reason, parse_type
from schema.contracts import TableContract
from tests.support.contracts import column, contract, custom_properties
from tests.support.deliveries import decoded, delete, insert, number, text, update, upsert
from workers.plan import Plan, plan
from workers.table_columns import Column, Columns

PRICE = "DECIMAL(10,2)"


def orders(mode: str = "freeze") -> TableContract:
    return contract(
        "orders",
        column("id", "INTEGER", primaryKey=True),
        column("Item", required=True),
        column("price", PRICE),
        column("raw", customProperties=custom_properties({"transform": "drop"})),
        custom={"mode": mode},
    )


def planned(
    *activities: dict[str, Any], table: Columns | None = None, mode: str = "freeze"
) -> Plan:
    messages = [decoded(each) for each in activities]
    return plan(messages, {"orders": table}, {"orders": orders(mode)})


def rejections(found: Plan) -> list[tuple[Reason, str]]:
    return [(reason, error) for _, (reason, error) in found.rejected]


ROW = insert("orders", id=number(1), item=text("pear"))
OLDER = {"id": Column("id", "INT64"), "item": Column("Item", "STRING")}
"""The table of an older contract: nothing is NOT NULL, and there is no price."""


def test_a_missing_table_is_made_by_its_contract_for_the_first_row() -> None:
    found = planned(ROW, delete("orders", price=(PRICE, 1)))
    assert found.creates == {"orders": []}
    assert found.contracts["orders"].primary_key == ("id",)
    assert len(found.accepted) == 2


def test_columns_that_the_contract_does_not_have_follow_where_it_evolves() -> None:
    row = insert("orders", id=number(1), item=text("pear"), more=text("x"))
    found = planned(row, mode="evolve")
    assert found.creates == {"orders": [("more", parse_type("TEXT"))]}


def test_a_rejected_transaction_makes_no_table() -> None:
    found = planned(insert("orders", id=number(1), item=text("pear"), more=text("x")))
    assert not found.changes_the_catalog
    assert rejections(found) == [
        (Reason.CONTRACT, "orders has no column more (contract orders 2.1.0, team shop)")
    ]


@pytest.mark.parametrize("mode", ["evolve", "report", "freeze"])
def test_what_the_table_can_hold_is_applied_whatever_the_contract_says(mode: str) -> None:
    table = {**OLDER, "more": Column("more", "STRING")}
    held = (
        insert("orders", id=number(1)),  # the contract requires an item
        insert("orders", more=text("x")),  # and has no such column
        delete("orders", more=text("x")),
    )
    found = planned(*held, table=table, mode=mode)
    assert len(found.accepted) == 3
    assert not found.changes_the_catalog


def test_a_column_of_the_contract_is_added_with_its_name_and_type() -> None:
    found = planned(insert("orders", id=number(1), PRICE=("DECIMAL(5,2)", 1)), table=OLDER)
    assert found.adds == {"orders": [("price", parse_type(PRICE))]}
    assert len(found.accepted) == 1


@pytest.mark.parametrize(
    ("activity", "error"),
    [
        (insert("orders", id=number(1), more=text("x")), "orders has no column more (contract"),
        (insert("orders", id=number(1), price=("DECIMAL(12,4)", 1)), "orders.price is NUMERIC"),
        (insert("orders", id=text("1")), "orders.id is INT64, not STRING"),
        (delete("orders", more=text("x")), "orders has no column more for a delete"),
    ],
)
def test_what_the_table_cannot_hold_is_rejected_as_contract(
    activity: dict[str, Any], error: str
) -> None:
    ((reason, found),) = rejections(planned(activity, table=OLDER))
    assert reason is Reason.CONTRACT
    assert found.startswith(error)


def test_what_the_contract_does_not_explain_keeps_its_plain_reason() -> None:
    other = {**OLDER, "id": Column("id", "STRING")}
    assert rejections(planned(ROW, table=other))[0][0] is Reason.TYPE_CONFLICT
    assert rejections(planned(delete("orders", price=(PRICE, 1)), table=OLDER))[0][0] is (
        Reason.COLUMN_MISSING
    )
    assert rejections(planned(delete("orders", id=number(1))))[0][0] is Reason.TABLE_MISSING


@pytest.mark.parametrize("mode", ["evolve", "report"])
def test_a_contract_that_is_not_frozen_is_no_reason(mode: str) -> None:
    found = planned(insert("orders", id=text("1")), table=OLDER, mode=mode)
    assert rejections(found)[0][0] is Reason.TYPE_CONFLICT


def test_a_null_in_a_not_null_column_is_rejected_before_the_warehouse_does() -> None:
    table = {**OLDER, "item": Column("Item", "STRING", required=True)}
    found = planned(
        insert("orders", id=number(1), item=text(None)),
        insert("orders", id=number(1)),
        ROW,
        table=table,
    )
    assert (
        rejections(found)
        == [(Reason.CONTRACT, "orders.Item may not be NULL (contract orders 2.1.0, team shop)")] * 2
    )
    assert len(found.accepted) == 1


def test_an_update_may_leave_a_not_null_column_alone_and_not_set_it_to_null() -> None:
    table = {**OLDER, "item": Column("Item", "STRING", required=True)}
    found = planned(
        update("orders", {"id": number(1)}, id=number(2)),
        update("orders", {"id": number(1)}, item=text(None)),
        upsert("orders", "id", id=number(1)),
        table=table,
    )
    assert len(found.accepted) == 1
    assert [reason for reason, _ in rejections(found)] == [Reason.CONTRACT] * 2


def test_a_table_that_its_contract_makes_has_its_not_null_columns() -> None:
    found = planned(insert("orders", id=number(1), item=text(None)), ROW)
    assert [reason for reason, _ in rejections(found)] == [Reason.CONTRACT]
    assert found.creates == {"orders": []}
    assert len(planned(insert("orders", item=text(None)), mode="report").accepted) == 1


def test_an_upsert_without_a_key_has_the_primary_key_of_its_table() -> None:
    row = {"ID": number(1), "item": text("pear")}
    messages = [decoded(upsert("orders", **row)), decoded(upsert("orders", "id", **row))]
    found = plan(messages, {"orders": None}, {"orders": orders()})
    without, given = found.accepted
    assert without.activities == given.activities
    assert without.key == messages[0].key
    assert given is messages[1]


@pytest.mark.parametrize("mode", ["evolve", "report", "freeze"])
@pytest.mark.parametrize("row", [{"item": text("pear")}, {"id": number(None), "item": text("a")}])
def test_an_upsert_that_gets_no_key_is_rejected_as_contract(mode: str, row: dict[str, Any]) -> None:
    found = planned(upsert("orders", **row), table=OLDER, mode=mode)
    assert [reason for reason, _ in rejections(found)] == [Reason.CONTRACT]
    assert not found.accepted
    assert not found.changes_the_catalog


def test_an_upsert_without_a_key_is_rejected_where_no_contract_has_one() -> None:
    sent = [decoded(insert("orders", id=number(1)), upsert("orders", id=number(1)))]
    for contracts in ({}, {"orders": contract("orders", column("id", "INTEGER"))}):
        found = plan(sent, {"orders": None}, contracts)
        assert rejections(found) == [
            (
                Reason.CONTRACT,
                "upsert on orders: no `key`, and no contract of the table has a primary key",
            )
        ]
        assert not found.changes_the_catalog


def test_a_dropped_column_is_not_in_the_table() -> None:
    found = planned(insert("orders", id=number(1), item=text("a"), raw=text("x")), mode="evolve")
    assert found.creates == {"orders": [("raw", parse_type("TEXT"))]}
