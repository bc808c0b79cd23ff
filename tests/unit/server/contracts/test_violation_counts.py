from typing import Any

import pytest

from schema import check_body
from schema.contracts import ContractSet, UnknownTables
from server.contracts import violation_counts
from server.contracts.violation_counts import OTHER, ViolationCounts
from tests.support.contracts import column, contract, custom_properties
from tests.support.deliveries import body, insert, text

ENUM: dict[str, Any] = {
    "logicalType": "string",
    "quality": [{"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": ["a"]}}],
}
HELD = ContractSet(
    [
        contract(
            "t",
            column("open", **ENUM),
            column("secret", classification="restricted", **ENUM),
            column("hashed", customProperties=custom_properties({"transform": "hash"}), **ENUM),
            custom={"mode": "report"},
        )
    ],
    UnknownTables.REPORT,
)


def counted(*tables_and_columns: tuple[str, str]) -> ViolationCounts:
    counts = ViolationCounts()
    for now, (table, name) in enumerate(tables_and_columns):
        sent = check_body(body(insert(table, **{name: text("x" * 200)})))
        counts.add(HELD.violations(sent), float(now))
    return counts


def test_equal_violations_are_counted_once() -> None:
    counts = counted(("t", "open"), ("t", "open"))
    ((key, seen),) = counts.take().items()
    assert key == ("t", "2.1.0", "shop", "t", "open", "contract_enum", False)
    assert (seen.count, seen.first_at, seen.last_at) == (2, 0.0, 1.0)
    assert counts.take() == {}


def test_an_example_is_cut() -> None:
    (seen,) = counted(("t", "open")).take().values()
    assert seen.examples == ["x" * 100 + "…"]


@pytest.mark.parametrize("name", ["secret", "hashed"])
def test_the_values_of_a_column_that_must_not_be_seen_are_no_examples(name: str) -> None:
    (seen,) = counted(("t", name)).take().values()
    assert seen.examples == []


def test_names_beyond_the_limit_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(violation_counts, "MAX_KEYS", 1)
    counts = counted(("t", "a"), ("t", "b"), ("t", "c"), ("u", "d"), ("v", "d"))
    found = {(key.table, key.column): seen.count for key, seen in counts.take().items()}
    assert found == {("t", "a"): 1, ("t", OTHER): 2, (OTHER, OTHER): 2}
