"""The words of `column_changes`, checked against what the gate does with values."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.commands.contract.column_changes import column_changes
from schema import Activity, BadValue, canonical, parse_type
from schema.contracts import ContractColumn, ContractSet, Mode, TableContract
from schema.transaction import Transaction

DECIMALS = ("INTEGER", "DECIMAL(3,1)", "DECIMAL(4,1)", "DECIMAL(4,2)", "DECIMAL")
TEXTS = ("TEXT", "VARCHAR(1)", "VARCHAR(2)")
VALUES = (*range(-4, 5), 1.5, -2.5, 99, 999, "a", "b", "ab", "", None)


@st.composite
def columns(draw: st.DrawFn, types: tuple[str, ...]) -> ContractColumn:
    bounds = st.none() | st.integers(-3, 3).map(str)
    lengths = st.none() | st.integers(0, 3)
    declared = draw(st.sampled_from(types))
    rules: dict[str, Any] = {"required": draw(st.booleans())}
    if types is DECIMALS:
        for name in ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum"):
            rules[name] = draw(bounds)
    else:
        rules |= {"min_length": draw(lengths), "max_length": draw(lengths)}
        rules["enum"] = tuple(draw(st.lists(st.sampled_from(("a", "b", "ab")), unique=True)))
        rules["pattern"] = draw(st.sampled_from((None, "^a", "b$")))
    return ContractColumn(name="c", declared=declared, **rules)


def accepted(column: ContractColumn, declared: str) -> set[Any]:
    """Return those of VALUES that the gate takes for a column, sent with a declared type."""
    contract = TableContract(
        table="t", contract="t", id="t", version="1", status="active", mode=Mode.FREEZE,
        columns=(column,),
    )  # fmt: skip
    held, kind, found = ContractSet([contract]), parse_type(declared), set()
    for value in VALUES:
        try:
            text = canonical(value, kind)
        except BadValue:
            continue
        sent = Activity("insert", "t", ("c",), (kind,), (text,))
        if not held.violations(Transaction((sent,))):
            found.add(value)
    return found


@settings(deadline=None)
@given(data=st.data(), types=st.sampled_from((DECIMALS, TEXTS)))
def test_what_the_old_column_takes_a_compatible_one_takes_too(
    data: st.DataObject, types: tuple[str, ...]
) -> None:
    old, new = data.draw(columns(types)), data.draw(columns(types))
    if not any(breaks for breaks, _ in column_changes(old, new)):
        for declared in types:
            assert accepted(old, declared) <= accepted(new, declared)
