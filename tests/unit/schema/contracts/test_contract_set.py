from typing import Any

import pytest

from schema import check_body
from schema.contracts import ContractSet, InvalidContracts, UnknownTables, Violation
from schema.contracts.suggestion import MAX_SUGGESTIONS
from tests.support.contracts import column, contract
from tests.support.deliveries import body, delete, insert, number, text, update, upsert

ORDERS = contract(
    "orders",
    column("id", "INTEGER", primaryKey=True),
    column("item", required=True),
    column("price", "DECIMAL(10,2)"),
    custom={"mode": "freeze"},
)


def found(*activities: dict[str, Any], held: ContractSet | None = None) -> list[Violation]:
    held = held or ContractSet([ORDERS])
    return held.violations(check_body(body(*activities)))


def short(violations: list[Violation]) -> list[tuple[str, str]]:
    return [(each.pointer, each.rule) for each in violations]


def test_a_transaction_that_keeps_the_contract_has_no_violations() -> None:
    assert found(insert("orders", id=number(1), item=text("pear"))) == []
    assert found(insert("orders", ID=number(1), Item=text("pear"))) == []
    assert found(delete("orders", item=text(None))) == []


def test_an_unknown_column_is_named_with_the_contract_the_team_and_a_suggestion() -> None:
    (one,) = found(insert("orders", id=number(1), itme=text("pear"), item=text("pear")))
    assert (one.pointer, one.rule) == ("/activities/0/col_names/1", "contract_column")
    assert one.message == (
        "no column `itme` in orders (contract orders 2.1.0, team shop); did you mean `item`?"
    )
    assert (one.table, one.column, one.contract, one.refused) == ("orders", "itme", ORDERS, True)


def test_the_columns_of_a_delete_are_checked_and_its_values_are_not() -> None:
    activity = delete("orders", itme=text("pear"), id=text("x"), price=("DECIMAL(10,2)", None))
    assert short(found(activity)) == [
        ("/activities/0/value_to_delete/col_names/0", "contract_column"),
        ("/activities/0/value_to_delete/col_types/1", "contract_type"),
    ]
    assert short(found(delete("orders", id=text("x")))) == [
        ("/activities/0/value_to_delete/col_types/0", "contract_type")
    ]


def test_an_update_is_checked_in_what_it_matches_on_and_what_it_sets() -> None:
    matched = {"id": number(1), "idd": number(1)}
    assert short(found(update("orders", matched, itme=text("x"), item=text(None)))) == [
        ("/activities/0/value_to_match/col_names/1", "contract_column"),
        ("/activities/0/col_names/0", "contract_column"),
        ("/activities/0/col_values/1", "contract_required"),
    ]
    # What it does not set stays: nothing is missing.
    assert found(update("orders", {"item": text("pear")}, price=("DECIMAL(10,2)", 1))) == []


def test_an_upsert_is_checked_as_the_row_that_it_may_insert() -> None:
    assert short(found(upsert("orders", "id", id=number(1)))) == [
        ("/activities/0/col_names", "contract_required")
    ]
    assert found(upsert("orders", "id", id=number(1), item=text("pear"))) == []


def test_a_type_whose_values_the_column_does_not_take_is_refused() -> None:
    (one,) = found(insert("orders", id=text("1"), item=text("pear")))
    assert (one.pointer, one.rule) == ("/activities/0/col_types/0", "contract_type")
    assert one.message == "`id` in orders is INT64, not STRING (contract orders 2.1.0, team shop)"


def test_a_required_column_is_neither_missing_nor_null() -> None:
    assert short(found(insert("orders", id=number(1)))) == [
        ("/activities/0/col_names", "contract_required")
    ]
    (one,) = found(insert("orders", id=number(1), item=text(None)))
    assert (one.pointer, one.rule) == ("/activities/0/col_values/1", "contract_required")
    assert one.message.startswith("`item` in orders is required and is null (contract")


def test_a_contract_that_reports_refuses_nothing() -> None:
    held = ContractSet([contract("orders", column("a"), custom={"mode": "report"})])
    assert [each.refused for each in found(insert("orders", b=text("x")), held=held)] == [False]


def test_a_contract_that_evolves_is_never_broken() -> None:
    held = ContractSet([contract("orders", column("a"))], UnknownTables.REFUSE)
    assert found(insert("orders", b=text("x")), held=held) == []


@pytest.mark.parametrize(
    ("policy", "refused"),
    [(UnknownTables.EVOLVE, []), (UnknownTables.REPORT, [False]), (UnknownTables.REFUSE, [True])],
)
def test_a_table_without_a_contract_is_what_the_setting_says(
    policy: UnknownTables, refused: list[bool]
) -> None:
    violations = found(insert("ordrs", a=text("x")), held=ContractSet([ORDERS], policy))
    assert [each.refused for each in violations] == refused
    for each in violations:
        assert (each.pointer, each.rule) == ("/activities/0/table", "contract_table")
        assert each.message == "no contract for the table `ordrs`; did you mean `orders`?"


def test_only_the_first_violations_have_a_suggestion() -> None:
    wrong = {f"itme{i}": text("x") for i in range(9)}
    activity = insert("orders", id=number(1), item=text("x"), **wrong)
    suggested = ["did you mean" in each.message for each in found(activity, activity)]
    assert suggested == [*[True] * MAX_SUGGESTIONS, *[False] * (18 - MAX_SUGGESTIONS)]


def test_the_search_stops_at_the_limit() -> None:
    wrong = [insert("orders", id=number(1), item=text("x"), b=text("x"))] * 10
    violations = ContractSet([ORDERS]).violations(check_body(body(*wrong)), most=4)
    assert len(violations) == 4


def test_a_retired_contract_is_not_in_force() -> None:
    retired = contract("orders", column("a"), status="retired", custom={"mode": "freeze"})
    assert ContractSet([retired, ORDERS]).tables == {"orders": ORDERS}
    assert found(insert("orders", b=text("x")), held=ContractSet([retired])) == []


def test_two_contracts_in_force_for_a_table_are_a_fault() -> None:
    with pytest.raises(InvalidContracts):
        ContractSet([ORDERS, contract("orders")])


def test_a_list_of_columns_with_other_types_is_checked_with_them() -> None:
    held = ContractSet([ORDERS])
    for _ in range(2):
        assert found(insert("orders", id=number(1), item=text("x")), held=held) == []
        assert len(found(insert("orders", id=text("1"), item=text("x")), held=held)) == 1
