"""Which activities one phase of the fold takes, and what is left for the next."""

from typing import Any

import pytest

from schema import Activity, check_body
from tests.support.deliveries import body, delete, insert, number, text, update, upsert
from tests.support.plain_rows import Row, apply_activities, apply_change
from workers.fold import LOOK_BACK, fold


def _activities(*drawn: dict[str, object]) -> tuple[Activity, ...]:
    return check_body(body(*drawn)).activities


def test_updates_that_change_the_key_are_one_phase_until_a_key_meets_again() -> None:
    moves = [update("t", {"a": number(i)}, a=number(100 + i)) for i in range(50)]

    assert len(fold(_activities(*moves))) == 1
    assert len(fold(_activities(*moves, update("t", {"a": number(100)}, b=number(1))))) == 2
    assert len(fold(_activities(*moves, delete("t", a=number(0))))) == 2


def test_a_delete_by_other_columns_joins_a_phase_whose_updates_leave_these_alone() -> None:
    by_key = update("t", {"a": number(1)}, b=text("x"))

    assert len(fold(_activities(by_key, delete("t", c=number(1))))) == 1
    assert len(fold(_activities(by_key, delete("t", b=text("x"))))) == 2
    assert len(fold(_activities(by_key, update("t", {"c": number(1)}, d=number(1))))) == 2
    # Whether the upsert brings a row depends on the rows before the delete.
    upserted = upsert("t", "a", a=number(1), b=text("x"))
    assert len(fold(_activities(upserted, delete("t", c=number(1))))) == 2
    assert len(fold(_activities(delete("t", c=number(1)), upserted))) == 1


def test_a_match_on_a_column_that_rows_leave_to_its_default_is_for_the_next_phase() -> None:
    given_ = _activities(insert("t", a=number(1)), delete("t", b=number(None)))

    assert len(fold(given_)) == 1
    assert [bool(each.inserts) for each in fold(given_, {"t": ["b"]})] == [True, False]


def test_an_update_by_another_case_of_the_columns_is_in_the_same_phase() -> None:
    given_ = _activities(
        update("t", {"a": number(1), "B": number(2)}, c=text("x")),
        update("t", {"b": number(3), "A": number(4)}, c=text("y")),
    )
    (change,) = fold(given_)

    assert change.update
    assert change.update.key == ("a", "b")
    assert [each.key for each in change.update.rows] == [("1", "2"), ("4", "3")]


def test_rows_that_a_move_brings_are_not_deleted_by_what_came_before() -> None:
    given_ = _activities(delete("t", a=number(2)), update("t", {"a": number(1)}, a=number(2)))
    (change,) = fold(given_)

    assert change.update
    assert [(each.key, each.sets) for each in change.update.rows] == [(("1",), {"a": "2"})]
    assert [each.rows for each in change.deletes] == [[("2",)]]


def test_an_upsert_finds_only_the_rows_that_a_delete_by_other_columns_spared() -> None:
    given_ = _activities(
        insert("t", a=number(1), b=text("gone")),
        delete("t", b=text("gone")),
        upsert("t", "a", a=number(1), c=number(3)),
    )
    (change,) = fold(given_)

    assert change.update
    assert [each.inserts for each in change.update.rows] == [{"c"}]
    assert change.inserts == []


def test_updates_by_several_sets_of_columns_in_turn_are_one_phase_for_each_set() -> None:
    in_turn = [
        update("t", {by: number(i)}, **{sets: number(i)})
        for i in range(20)
        for by, sets in (("a", "d"), ("b", "e"), ("c", "f"))
    ]
    changes = fold(_activities(*in_turn))

    assert [each.update and each.update.key for each in changes] == [("a",), ("b",), ("c",)]
    assert [each.update and len(each.update.rows) for each in changes] == [20, 20, 20]


def test_an_update_looks_for_an_earlier_phase_a_bounded_way_back() -> None:
    first = update("t", {"a": number(1)}, x=number(0))
    others = [
        update("t", {f"b{i}": number(1)}, **{f"c{i}": number(0)}) for i in range(LOOK_BACK + 1)
    ]
    last = update("t", {"a": number(1)}, y=number(0))

    assert len(fold(_activities(first, *others[1:], last))) == 1 + LOOK_BACK
    assert len(fold(_activities(first, *others, last))) == 1 + len(others) + 1


@pytest.mark.parametrize(
    "between",
    [
        [update("t", {"b": number(1)}, a=number(7))],
        [update("t", {"b": number(1)}, c=number(7))],
        [update("t", {"c": number(1)}, d=number(7))],
        [update("t", {"b": number(1)}, d=number(7)), insert("t", a=number(1))],
        [upsert("t", "b", b=number(7), a=number(1), d=number(7))],
        [update("t", {"b": number(1)}, d=number(7)), delete("t", c=number(1))],
    ],
    ids=[
        "sets what it matches on",
        "sets what it sets",
        "matches on what it sets",
        "inserts what it changes",
        "upserts what it changes",
        "deletes by what it sets",
    ],
)
def test_an_update_stays_behind_a_phase_that(between: list[dict[str, Any]]) -> None:
    first = update("t", {"a": number(1)}, e=number(0))
    last = update("t", {"a": number(1)}, c=number(2))
    given_ = _activities(first, *between, last)
    changes = fold(given_)

    assert len(changes) == 3
    row: Row = {"a": "1", "b": "1", "c": "1"}
    plain, folded, too_early = [row], [row], [row]
    apply_activities(plain, given_)
    for change in changes:
        apply_change(folded, change)
    assert folded == plain
    apply_activities(too_early, _activities(first, last, *between))
    assert too_early != plain
