from typing import Any

import pytest

from schema.contracts import ContractColumn
from schema.contracts.value_rules import value_rules

RULES: list[tuple[dict[str, Any], str, list[str], list[str]]] = [
    ({"declared": "TEXT", "pattern": "^[a-z]+$"}, "contract_pattern", ["a"], ["", "A"]),
    ({"declared": "TEXT", "min_length": 2}, "contract_min_length", ["é😀"], ["é"]),
    ({"declared": "TEXT", "max_length": 2}, "contract_max_length", ["", "é😀"], ["abc"]),
    ({"declared": "BYTES", "max_length": 2}, "contract_max_length", ["YWI="], ["YWJj"]),
    ({"declared": "BYTES", "min_length": 2}, "contract_min_length", ["YWI="], ["YQ=="]),
    ({"declared": "TEXT", "enum": ("a", "b")}, "contract_enum", ["a"], ["A", ""]),
    ({"declared": "INTEGER", "minimum": "9"}, "contract_minimum", ["9", "10"], ["8", "-10"]),
    ({"declared": "INTEGER", "exclusive_minimum": "9"}, "contract_minimum", ["10"], ["9"]),
    ({"declared": "FLOAT", "maximum": "1e-07"}, "contract_maximum", ["1e-08"], ["0.5"]),
    ({"declared": "DECIMAL(38,9)", "maximum": "0.1"}, "contract_maximum", ["0.1"], ["0.100000001"]),
    (
        {"declared": "DATE", "exclusive_maximum": "2020-01-01"},
        "contract_maximum",
        ["2019-12-31"],
        ["2020-01-01"],
    ),
    (
        {"declared": "TIMESTAMP", "minimum": "2020-01-01 00:00:00+00:00"},
        "contract_minimum",
        ["2020-01-01 00:00:00.5+00:00"],
        ["2019-12-31 23:59:59.9+00:00"],
    ),
]


@pytest.mark.parametrize(("fields", "rule", "good", "bad"), RULES)
def test_a_rule_holds_for_the_values_it_allows(
    fields: dict[str, Any], rule: str, good: list[str], bad: list[str]
) -> None:
    (found,) = value_rules(ContractColumn(name="a", **fields))
    assert found.rule == rule
    assert [found.holds(text) for text in good] == [True] * len(good)
    assert [found.holds(text) for text in bad] == [False] * len(bad)


def test_a_long_enumeration_is_cut_in_messages() -> None:
    (rule,) = value_rules(ContractColumn(name="a", declared="TEXT", enum=tuple("abcdefghijkl")))
    assert rule.expected == "one of a, b, c, d, e, f, g, h, i, j and 2 more"
