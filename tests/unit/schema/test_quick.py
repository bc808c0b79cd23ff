import copy
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import InvalidJSON, InvalidSchema, loads, quick
from schema.payload import check_thoroughly
from tests.support.hostile_bodies import hostile
from tests.support.strategies import bodies

INSERT: dict[str, Any] = {
    "operation": "insert",
    "table": "t",
    "col_names": ["a", "b"],
    "col_types": ["INTEGER", "DECIMAL(5,2)"],
    "col_values": [1, "1.50"],
}
DELETE: dict[str, Any] = {
    "operation": "delete",
    "table": "t",
    "value_to_delete": {"col_names": ["a"], "col_types": ["INTEGER"], "col_values": [None]},
}


def agrees(payload: Any) -> None:
    """See that the quick way accepts nothing else, and nothing otherwise, than the thorough one."""
    before = copy.deepcopy(payload)
    found = quick.accepted(payload)
    assert payload == before
    try:
        expected = check_thoroughly(payload)
    except InvalidSchema:
        assert found is None
    else:
        assert found in {None, expected}


@given(bodies(("t1", "t2")))
def test_what_is_drawn_as_valid_goes_the_quick_way_and_comes_out_the_same(body: bytes) -> None:
    try:
        payload = loads(body)
    except InvalidJSON:
        return
    found = quick.accepted(payload)
    try:
        assert found == check_thoroughly(payload)
    except InvalidSchema:
        assert found is None


@pytest.mark.parametrize("seed", range(4))
def test_hostile_bodies_are_judged_alike(seed: int) -> None:
    for number in range(500):
        try:
            payload = loads(hostile(seed, number).wire)
        except InvalidJSON:
            continue
        agrees(payload)


_ODD = st.sampled_from([None, 1, True, 1.5, "x", "a", "A", "", [], ["a"], {}, {"a": 1}, [["a"]]])


@given(st.data())
def test_a_valid_payload_with_one_part_replaced_is_judged_alike(data: st.DataObject) -> None:
    payload: Any = {"activities": [copy.deepcopy(INSERT), copy.deepcopy(DELETE)]}
    places: list[tuple[Any, Any]] = []

    def walk(held: Any) -> None:
        for key in held if isinstance(held, dict) else range(len(held)):
            places.append((held, key))
            if isinstance(held[key], dict | list):
                walk(held[key])

    walk(payload)
    held, key = data.draw(st.sampled_from(places))
    match data.draw(st.sampled_from(["replace", "remove", "add"])):
        case "replace":
            held[key] = data.draw(_ODD)
        case "remove":
            del held[key]
        case _ if isinstance(held, dict):
            held[data.draw(st.sampled_from(["x", "table", "col_names"]))] = data.draw(_ODD)
        case _:
            held.append(data.draw(_ODD))
    agrees(payload)


def test_many_columns_are_not_remembered_and_still_accepted() -> None:
    count = 150
    wide = {
        **INSERT,
        "col_names": [f"c{n}" for n in range(count)],
        "col_types": ["INTEGER"] * count,
        "col_values": list(range(count)),
    }
    before = quick._remembered.cache_info().currsize
    agrees({"activities": [wide]})
    assert quick.accepted({"activities": [wide]}) is not None
    assert quick._remembered.cache_info().currsize == before


def test_what_is_remembered_is_bounded() -> None:
    rng = random.Random(1)
    for _ in range(2_000):
        names = [f"c{rng.randrange(10**9)}", "b"]
        assert quick.accepted({"activities": [{**INSERT, "col_names": names}]}) is not None
    assert quick._remembered.cache_info().currsize <= quick._REMEMBERED_SHAPES


def test_shapes_of_different_types_are_not_mixed_up() -> None:
    texts = {**INSERT, "col_types": ["TEXT", "TEXT"], "col_values": ["1", ""]}
    for activity in (INSERT, texts, INSERT):
        agrees({"activities": [activity]})
        assert quick.accepted({"activities": [activity]}) is not None
