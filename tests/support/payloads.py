"""Payloads for the schema's tests: builders, and random valid and invalid ones."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st

from schema import MAX_FAULTS, Fault, InvalidSchema, check
from schema.faults import KEY_ORDER


def lists(*columns: tuple[Any, Any, Any]) -> dict[str, Any]:
    names, types, values = zip(*columns or [("a", "INTEGER", 1)], strict=True)
    return {"col_names": list(names), "col_types": list(types), "col_values": list(values)}


def insert(**changes: Any) -> dict[str, Any]:
    return {"operation": "insert", "table": "t1", **lists(), **changes}


def delete(**changes: Any) -> dict[str, Any]:
    return {"operation": "delete", "table": "t1", "value_to_delete": lists(), **changes}


def update(**changes: Any) -> dict[str, Any]:
    match = {"value_to_match": lists()}
    return {"operation": "update", "table": "t1", **match, **lists(("b", "TEXT", "x")), **changes}


def upsert(**changes: Any) -> dict[str, Any]:
    columns = lists(("a", "INTEGER", 1), ("b", "TEXT", "x"))
    return {"operation": "upsert", "table": "t1", "key": ["a"], **columns, **changes}


def without(held: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in held.items() if key not in keys}


def transaction(*activities: Any) -> dict[str, Any]:
    return {"activities": list(activities)}


def faults(payload: Any, max_faults: int = MAX_FAULTS) -> list[Fault]:
    with pytest.raises(InvalidSchema) as caught:
        check(payload, max_faults)
    return caught.value.faults


def places(*activities: Any) -> list[tuple[str, str]]:
    """Return pointer within the activities, and rule, of each fault."""
    found = faults(transaction(*activities))
    return [(fault.pointer.removeprefix("/activities/"), fault.rule) for fault in found]


_ODD = st.sampled_from(
    [
        *[None, True, 0, 1, 2**63, Decimal("1.5"), "", "a", "A", "b", "x\n", "_table_x"],
        *[
            "gatekeeper_x",
            "insert",
            "delete",
            "update",
            "upsert",
            "INTEGER",
            "TEXT",
            "DECIMAL(3,1)",
            "NOPE",
        ],
        *["2018-03-27", [], {}, [1], ["a"], ["INT"], ["a", "b"], ["INT", "TEXT"], {"a": 1}],
        *[lists(), insert(), delete(), update(), upsert()],
    ]
)
_KEYS = st.sampled_from([*KEY_ORDER, "x"])
_column = st.sampled_from(
    [
        ("a", "INTEGER", 1),
        ("b", "TEXT", "x"),
        ("c", "DECIMAL(3,1)", Decimal("9.5")),
        ("d", "DATE", None),
    ]
)
_columns = st.lists(_column, min_size=1, max_size=3, unique_by=lambda held: held[0])
_activity = st.one_of(
    _columns.map(lambda held: insert(**lists(*held))),
    _columns.map(lambda held: delete(value_to_delete=lists(*held))),
    st.tuples(_columns, _columns).map(
        lambda held: update(value_to_match=lists(*held[0]), **lists(*held[1]))
    ),
    _columns.filter(lambda held: held[0][2] is not None).map(
        lambda held: upsert(key=[held[0][0].upper()], **lists(*held))
    ),
    _columns.map(lambda held: without(upsert(**lists(*held)), "key")),
)
valid_payload = st.lists(_activity, min_size=1, max_size=3).map(lambda held: transaction(*held))


def _mutate(draw: Any, held: Any) -> Any:
    """Replace, remove or add one thing at any depth."""
    if isinstance(held, dict) and held and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(held)))
        return {**held, key: _mutate(draw, held[key])}
    if isinstance(held, list) and held and draw(st.integers(0, 3)):
        at = draw(st.integers(0, len(held) - 1))
        return [*held[:at], _mutate(draw, held[at]), *held[at + 1 :]]
    if isinstance(held, dict) and draw(st.booleans()):
        key = draw(_KEYS)
        return without(held, key) if key in held else {**held, key: draw(_ODD)}
    if isinstance(held, list) and draw(st.booleans()):
        return held[:-1] if held and draw(st.booleans()) else [*held, draw(_ODD)]
    return draw(_ODD)


@st.composite
def mutated_payload(draw: Any) -> Any:
    """Draw a valid payload with up to three mutations."""
    payload = draw(valid_payload)
    for _ in range(draw(st.integers(0, 3))):
        payload = _mutate(draw, payload)
    return payload
