"""The rules of a column on one value, compiled to predicates on its canonical text."""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple

from schema.contracts.pattern import pattern_search
from schema.contracts.table_contract import ContractColumn
from schema.validators import ContractRule

MAX_LISTED: Final = 10
"""Values of an enumeration in a message."""

type Predicate = Callable[[str], bool]


class ValueRule(NamedTuple):
    """`holds` takes a canonical text. `expected` ends a sentence: `price is at least 0`."""

    rule: ContractRule
    holds: Predicate
    expected: str


def value_rules(column: ContractColumn) -> tuple[ValueRule, ...]:
    """Return the rules of a column, in the order in which they are reported.

    Columns with the same rules share them: a rule takes some 400 bytes.
    """
    return _rules(replace(column, name="", description="", examples=(), classification=""))


@lru_cache(4_096)
def _rules(column: ContractColumn) -> tuple[ValueRule, ...]:
    return (*_lengths(column), *_bounds(column), *_texts(column))


def _texts(column: ContractColumn) -> Iterator[ValueRule]:
    if column.pattern is not None:
        expected = f"a text that matches {column.pattern}"
        yield ValueRule("contract_pattern", _matches(column.pattern), expected)
    if column.enum:
        known = frozenset(column.enum)
        yield ValueRule("contract_enum", known.__contains__, f"one of {_listed(column.enum)}")


def _matches(pattern: str) -> Predicate:
    def matches(text: str) -> bool:
        # Looked up for each text: a compiled pattern takes 3 kB, and the look-up keeps 4,096.
        return pattern_search(pattern)(text)

    return matches


def _listed(values: tuple[str, ...]) -> str:
    more = f" and {len(values) - MAX_LISTED} more" if len(values) > MAX_LISTED else ""
    return ", ".join(values[:MAX_LISTED]) + more


def _lengths(column: ContractColumn) -> Iterator[ValueRule]:
    in_bytes = column.type.base == "BYTES"
    size, unit = (_byte_count, "bytes") if in_bytes else (len, "characters")
    if (least := column.min_length) is not None:
        yield ValueRule(
            "contract_min_length", lambda text: size(text) >= least, f"{least} {unit} long or more"
        )
    if (most := column.max_length) is not None:
        yield ValueRule(
            "contract_max_length", lambda text: size(text) <= most, f"{most} {unit} long or less"
        )


def _byte_count(base64: str) -> int:
    return len(base64) // 4 * 3 - base64[-2:].count("=")


_NUMBER: Final[Mapping[str, Callable[[str], Any]]] = {
    "INT64": int,
    "FLOAT64": float,
    "NUMERIC": Decimal,
    "BIGNUMERIC": Decimal,
}
"""Dates and times sort as their canonical texts."""


def _bounds(column: ContractColumn) -> Iterator[ValueRule]:
    number = _NUMBER.get(column.type.base, str)
    for rule, limit, compare, words in (
        ("contract_minimum", column.minimum, operator.ge, "at least"),
        ("contract_minimum", column.exclusive_minimum, operator.gt, "more than"),
        ("contract_maximum", column.maximum, operator.le, "at most"),
        ("contract_maximum", column.exclusive_maximum, operator.lt, "less than"),
    ):
        if limit is not None:
            holds = _compared(number, compare, number(limit))
            yield ValueRule(rule, holds, f"{words} {limit}")  # type: ignore[arg-type]  # literals


def _compared(
    number: Callable[[str], Any], compare: Callable[[Any, Any], bool], limit: Any
) -> Predicate:
    return lambda text: compare(number(text), limit)
