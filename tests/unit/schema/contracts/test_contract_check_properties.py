"""The compiled check finds exactly what a plain reading of the contract finds."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schema import Activity, canonical, parse_type
from schema.contracts import ContractColumn, ContractSet, Mode, TableContract
from schema.transaction import Transaction

NAMES = ("a", "b", "c", "d")
TYPES = ("TEXT", "VARCHAR(3)", "INTEGER", "DECIMAL(5,2)", "DECIMAL(12,4)", "DATE", "BYTES")
VALUES: dict[str, tuple[Any, ...]] = {
    "STRING": ("", "x", "xyz", "x9", None),
    "INT64": (0, 1, -(2**63), 9, 10, None),
    "NUMERIC": (0, "1.5", "-1.5", "10", "9", None),
    "DATE": ("2020-01-01", "1999-12-31", None),
    "BYTES": ("", "AAEC", "AA==", None),
}


@st.composite
def columns(draw: st.DrawFn, name: str) -> ContractColumn:
    declared = draw(st.sampled_from(TYPES))
    base = parse_type(declared).base
    texts = [canonical(value, parse_type(declared)) for value in VALUES[base] if value is not None]
    limits = st.none() | st.sampled_from(texts)
    ordered = base in {"INT64", "NUMERIC", "DATE"}
    counted = base in {"STRING", "BYTES"}
    lengths = st.none() | st.integers(0, 3)
    return ContractColumn(
        name=draw(st.sampled_from((name, name.upper()))),
        declared=declared,
        required=draw(st.booleans()),
        pattern=draw(st.sampled_from((None, "^x", "[0-9]"))) if base == "STRING" else None,
        minimum=draw(limits) if ordered else None,
        maximum=draw(limits) if ordered else None,
        exclusive_minimum=draw(limits) if ordered else None,
        exclusive_maximum=draw(limits) if ordered else None,
        min_length=draw(lengths) if counted else None,
        max_length=draw(lengths) if counted else None,
        enum=tuple(draw(st.lists(st.sampled_from(texts), max_size=2, unique=True))),
    )


@st.composite
def contracts(draw: st.DrawFn) -> TableContract:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    return TableContract(
        table="t",
        contract="t",
        id="t",
        version="1",
        status="active",
        mode=Mode.FREEZE,
        columns=tuple(draw(columns(name)) for name in names),
    )


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    types = [parse_type(draw(st.sampled_from(TYPES))) for _ in names]
    values = [canonical(draw(st.sampled_from(VALUES[kind.base])), kind) for kind in types]
    operation = draw(st.sampled_from(("insert", "insert", "delete")))
    return Activity(operation, "t", tuple(names), tuple(types), tuple(values))


def read_plainly(contract: TableContract, activity: Activity) -> Iterator[tuple[str, str]]:
    """Yield (column in lower case, rule) for everything that is wrong."""
    given_names = [name.lower() for name in activity.names]
    required = [column.name.lower() for column in contract.columns if column.required]
    if activity.operation == "insert":
        yield from ((name, "contract_required") for name in required if name not in given_names)
    for name, sent, value in zip(given_names, activity.types, activity.values, strict=True):
        found = [column for column in contract.columns if column.name.lower() == name]
        if not found:
            yield name, "contract_column"
            continue
        (column,) = found
        if not fits(column.declared, sent.bigquery):
            yield name, "contract_type"
        elif activity.operation == "insert" and value is not None:
            yield from ((name, rule) for rule in broken(column, value))
        elif activity.operation == "insert" and column.required:
            yield name, "contract_required"


def fits(declared: str, sent: str) -> bool:
    decimals = {"NUMERIC(5,2)": (3, 2), "NUMERIC(12,4)": (8, 4)}
    own = parse_type(declared).bigquery
    if own in decimals and sent in decimals:
        return all(a >= b for a, b in zip(decimals[own], decimals[sent], strict=True))
    return own == sent


def broken(column: ContractColumn, value: str) -> Iterator[str]:
    base = parse_type(column.declared).base
    size = len(value) if base == "STRING" else {"": 0, "AAEC": 3, "AA==": 1}.get(value, -1)

    def order(text: str) -> Any:
        return text if base == "DATE" else Decimal(text)

    if column.min_length is not None and size < column.min_length:
        yield "contract_min_length"
    if column.max_length is not None and size > column.max_length:
        yield "contract_max_length"
    if column.minimum is not None and order(value) < order(column.minimum):
        yield "contract_minimum"
    if column.exclusive_minimum is not None and order(value) <= order(column.exclusive_minimum):
        yield "contract_minimum"
    if column.maximum is not None and order(value) > order(column.maximum):
        yield "contract_maximum"
    if column.exclusive_maximum is not None and order(value) >= order(column.exclusive_maximum):
        yield "contract_maximum"
    if column.pattern is not None and not re.search(column.pattern, value):
        yield "contract_pattern"
    if column.enum and value not in column.enum:
        yield "contract_enum"


@settings(deadline=None)
@given(contract=contracts(), sent=st.lists(activities(), min_size=1, max_size=4))
def test_the_compiled_check_finds_what_a_plain_reading_finds(
    contract: TableContract, sent: list[Activity]
) -> None:
    held = ContractSet([contract])
    for activity in [*sent, *sent]:  # the second time from the compiled lists
        found = held.violations(Transaction((activity,)))
        assert sorted((each.column.lower(), each.rule) for each in found) == sorted(
            read_plainly(contract, activity)
        )
