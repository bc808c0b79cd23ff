import pytest

from schema.contracts import InvalidContracts, by_table
from tests.support.contracts import contract


def test_contracts_are_found_by_their_table_with_its_case() -> None:
    orders, upper = contract("orders"), contract("ORDERS")
    assert by_table([orders, upper]) == {"orders": orders, "ORDERS": upper}


def test_two_contracts_for_a_table_are_a_fault() -> None:
    with pytest.raises(InvalidContracts, match="orders has a contract already"):
        by_table([contract("orders"), contract("orders", version="3.0.0")])


def test_a_contract_without_a_team_has_none_in_its_title() -> None:
    assert contract("orders", team={"members": []}).title == "contract orders 2.1.0"
