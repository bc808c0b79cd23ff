import pytest

from ops.commands.contract.contract_changes import contract_changes
from ops.commands.contract.version_remarks import version_remarks
from schema.contracts import TableContract
from tests.support.contracts import column, contract

A, B = column("a"), column("b")


def remarks(old: TableContract, new: TableContract) -> list[str]:
    return list(version_remarks([old], [new], contract_changes([old], [new])))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("2.1.0", "2.2.0", "3.0.0"),
        ("2.1.0", "2.1.0", "3.0.0"),
        ("0.3.1", "0.3.2", "0.4.0"),
        ("1.9.0", "1.10.0", "2.0.0"),
    ],
)
def test_a_breaking_change_needs_a_major_version(old: str, new: str, expected: str) -> None:
    assert remarks(contract("t", A, B, version=old), contract("t", A, version=new)) == [
        f"t: breaking changes without a new major version: {old} → {new}, {expected} is expected"
    ]


@pytest.mark.parametrize(("old", "new"), [("2.1.0", "2.1.0"), ("2.1.0", "2.0.9")])
def test_a_change_needs_a_higher_version(old: str, new: str) -> None:
    assert remarks(contract("t", A, version=old), contract("t", A, B, version=new)) == [
        f"t: changes without a new version: {old} → {new}, 2.2.0 is expected"
    ]


@pytest.mark.parametrize(
    ("columns", "old", "new"),
    [([A], "2.1.0", "3.0.0"), ([A], "0.3.1", "0.4.0"), ([A, B, column("c")], "2.1.0", "2.1.1")],
)
def test_a_version_that_says_enough_gets_no_remark(
    columns: list[dict[str, str]], old: str, new: str
) -> None:
    assert not remarks(contract("t", A, B, version=old), contract("t", *columns, version=new))


def test_another_kind_of_number_is_named() -> None:
    old, new = contract("t", A, version="2.1.0"), contract("t", version="spring")
    assert remarks(old, new) == ["t: spring is not a semantic version"]


def test_a_contract_without_changes_gets_no_remark() -> None:
    assert not remarks(contract("t", A, version="x"), contract("t", A, version="x"))
