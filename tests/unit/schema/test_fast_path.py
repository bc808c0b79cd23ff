"""The fast path and voluptuous must give the same verdict on every payload."""

import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings

from schema import InvalidJSON, InvalidSchema, loads
from schema.fast_path import _CACHED_COLUMNS, _cached_columns, check_fast
from schema.payload import check_with_voluptuous
from tests.support.hostile_bodies import hostile
from tests.support.payloads import (
    delete,
    insert,
    mutated_payload,
    transaction,
    update,
    upsert,
)
from tests.support.strategies import bodies


def agrees(payload: Any) -> bool:
    """Compare both verdicts. Returns whether the payload is valid."""
    before = copy.deepcopy(payload)
    found = check_fast(payload)
    assert payload == before
    try:
        expected = check_with_voluptuous(payload)
    except InvalidSchema:
        assert found is None
        return False
    assert found == expected
    return True


@settings(max_examples=400)
@given(mutated_payload())
def test_a_mutated_payload_gets_the_same_verdict(payload: Any) -> None:
    agrees(payload)


@given(bodies(("t1", "t2")))
def test_a_body_with_every_column_type_gets_the_same_verdict(body: bytes) -> None:
    try:
        payload = loads(body)
    except InvalidJSON:
        return
    agrees(payload)


@pytest.mark.parametrize("seed", range(4))
def test_hostile_bodies_get_the_same_verdict(seed: int) -> None:
    for number in range(500):
        try:
            payload = loads(hostile(seed, number).wire)
        except InvalidJSON:
            continue
        agrees(payload)


_REPLACEMENTS: tuple[Any, ...] = (
    *(None, 0, 1, True, 1.5, 2**64, "", "x", "a", "A", "b", "gatekeeper_x", "_table_x", "INTEGER"),
    *([], {}, [[]], ["a"], ["b"], ["INT"], [None], ["a", "A"], ["INT", "INT"], [1, 2], {"a": 1}),
    *({"INT": 1}, {"TEXT": 1}),
)


def places(held: Any) -> list[tuple[Any, Any]]:
    found = []
    for key in held if isinstance(held, dict) else range(len(held)):
        found.append((held, key))
        if isinstance(held[key], dict | list):
            found += places(held[key])
    return found


def test_every_single_replacement_removal_and_addition_gets_the_same_verdict() -> None:
    original = transaction(
        insert(col_types=["TEXT"], col_values=["x"]), delete(), update(), upsert()
    )
    verdicts = []
    for index in range(len(places(original))):
        for change in (*_REPLACEMENTS, "remove", "add"):
            payload = copy.deepcopy(original)
            held, key = places(payload)[index]
            if change == "remove":
                del held[key]
            elif change == "add":
                held.update(note=1) if isinstance(held, dict) else held.append("a")
            else:
                held[key] = change
            verdicts.append(agrees(payload))
    assert verdicts.count(True) > 10
    assert verdicts.count(False) > 400


def test_more_than_100_columns_are_accepted_but_not_cached() -> None:
    wide = insert(
        col_names=[f"c{n}" for n in range(150)],
        col_types=["INTEGER"] * 150,
        col_values=list(range(150)),
    )
    before = _cached_columns.cache_info().currsize
    assert agrees(transaction(wide))
    assert _cached_columns.cache_info().currsize == before


def test_the_cache_is_bounded() -> None:
    rng = random.Random(1)
    for _ in range(2_000):
        assert check_fast(transaction(insert(col_names=[f"c{rng.randrange(10**9)}"]))) is not None
    assert _cached_columns.cache_info().currsize <= _CACHED_COLUMNS


def test_columns_with_the_same_names_and_other_types_are_cached_apart() -> None:
    number, text = insert(), insert(col_types=["TEXT"], col_values=["1"])
    for activity in (number, text, number):
        assert agrees(transaction(activity))
