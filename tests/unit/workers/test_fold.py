import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schema import Activity, check_body
from tests.support.deliveries import body, delete, insert, number, text, update, upsert
from tests.support.plain_rows import Row, apply_activities, apply_change
from tests.support.strategies import activities, cut, cuts
from workers.fold import fold
from workers.table_change import KeyUpdate, TableChange

type Tables = dict[str, list[Row]]


def _activities(*drawn: dict[str, object]) -> tuple[Activity, ...]:
    return check_body(body(*drawn)).activities


def _one_by_one(tables: Tables, given_: tuple[Activity, ...]) -> None:
    for activity in given_:
        apply_activities(tables.setdefault(activity.table, []), [activity])


def _folded(tables: Tables, changes: list[TableChange]) -> None:
    for change in changes:
        apply_change(tables.setdefault(change.table, []), change)


def _counted(tables: Tables) -> dict[str, Counter[str]]:
    """Count rows; a column that is NULL and one that is not named are the same."""
    return {
        table: Counter(
            json.dumps({k: v for k, v in sorted(row.items()) if v is not None}) for row in rows
        )
        for table, rows in tables.items()
        if rows
    }


@given(
    st.lists(activities(("t", "u")), max_size=12),
    st.lists(activities(("t", "u")), max_size=40),
    cuts(20),
)
def test_deletes_then_inserts_leave_what_one_by_one_leaves(
    before: list[dict[str, object]], drawn: list[dict[str, object]], sizes: list[int]
) -> None:
    one_by_one: Tables = {}
    folded: Tables = {}
    if before:
        for tables in (one_by_one, folded):
            _one_by_one(tables, _activities(*before))
    if drawn:
        checked = _activities(*drawn)
        _one_by_one(one_by_one, checked)
        for part in cut(list(checked), sizes):
            _folded(folded, fold(part))

    assert _counted(folded) == _counted(one_by_one)


@given(st.lists(activities(("t",)), min_size=1, max_size=40))
def test_each_set_of_columns_is_one_delete_and_one_insert_of_a_phase_at_most(
    drawn: list[dict[str, object]],
) -> None:
    for change in fold(_activities(*drawn)):
        _check_sets(change)


def _check_sets(change: TableChange) -> None:
    for row_sets in (change.deletes, change.inserts):
        sets = [frozenset(name.lower() for name in each.names) for each in row_sets]
        assert len(sets) == len(set(sets))
        for each in row_sets:
            assert all(len(row) == len(each.names) == len(each.types) for row in each.rows)
    if change.update:
        keys = [each.key for each in change.update.rows]
        gone = [
            key for each in change.deletes if each.columns == change.update.key for key in each.rows
        ]
        assert len({*keys, *gone}) == len(keys) + len(gone)


def test_a_delete_strikes_earlier_inserts_and_spares_later_ones() -> None:
    row = {"a": number(1), "b": text("x")}
    (change,) = fold(_activities(insert("t", **row), delete("t", a=number(1)), insert("t", **row)))

    assert [each.rows for each in change.deletes] == [[("1",)]]
    assert [each.rows for each in change.inserts] == [[("1", "x")]]


def test_a_struck_row_leaves_the_delete_behind() -> None:
    (change,) = fold(_activities(insert("t", a=number(1)), delete("t", a=number(1))))

    assert change.inserts == []
    assert [each.rows for each in change.deletes] == [[("1",)]]


def test_a_delete_on_null_strikes_rows_that_do_not_name_the_column() -> None:
    (change,) = fold(_activities(insert("t", a=number(1)), delete("t", b=text(None))))

    assert change.inserts == []


def test_equal_rows_stay_as_many_as_were_inserted() -> None:
    (change,) = fold(_activities(*[insert("t", a=number(1))] * 3))

    assert [each.rows for each in change.inserts] == [[("1",)] * 3]


def test_columns_in_another_order_and_case_are_the_same_set() -> None:
    (change,) = fold(
        _activities(
            insert("t", a=number(1), B=text("x")),
            insert("t", b=text("y"), A=number(2)),
            delete("t", A=number(2), b=text("y")),
            delete("t", B=text("z"), a=number(3)),
        )
    )

    assert [each.rows for each in change.inserts] == [[("1", "x")]]
    assert [each.rows for each in change.deletes] == [[("2", "y"), ("3", "z")]]


def test_a_repeated_delete_is_one_key() -> None:
    (change,) = fold(_activities(*[delete("t", a=number(1))] * 5))

    assert [each.rows for each in change.deletes] == [[("1",)]]


def test_tables_do_not_touch_one_another() -> None:
    changes = fold(_activities(insert("t", a=number(1)), delete("u", a=number(1))))

    assert [change.table for change in changes] == ["t", "u"]
    assert changes[0].deletes == []
    assert changes[1].inserts == []


def _one(*drawn: dict[str, object]) -> TableChange:
    (change,) = fold(_activities(*drawn))
    return change


def _updates(change: TableChange) -> list[KeyUpdate]:
    assert change.update
    return change.update.rows


def test_updates_of_a_key_are_one_row_and_columns_that_none_sets_are_left_alone() -> None:
    change = _one(
        update("t", {"a": number(1)}, b=text("x")),
        update("t", {"a": number(2)}, c=text("other")),
        update("t", {"A": number(1)}, b=text("y"), d=number(None)),
    )

    assert _updates(change) == [
        KeyUpdate(("1",), {"b": "y", "d": None}, None),
        KeyUpdate(("2",), {"c": "other"}, None),
    ]
    assert not change.deletes
    assert not change.inserts


def test_an_upsert_sets_the_row_that_is_there_or_brings_one() -> None:
    change = _one(
        update("t", {"a": number(1)}, c=number(0)),
        upsert("t", "a", a=number(1), b=text("x")),
        update("t", {"a": number(1)}, d=number(2)),
    )

    # The new row is younger than the first update, which it does not get.
    assert _updates(change) == [
        KeyUpdate(("1",), {"c": "0", "b": "x", "d": "2"}, frozenset({"b", "d"}))
    ]


def test_an_upsert_after_a_delete_or_an_insert_of_its_key_depends_on_no_row_that_is_there() -> None:
    deleted = _one(delete("t", a=number(1)), upsert("t", "a", a=number(1), b=text("x")))
    inserted = _one(insert("t", a=number(1)), upsert("t", "a", a=number(1), b=text("x")))

    assert deleted.update is None
    assert [each.rows for each in deleted.deletes] == [[("1",)]]
    assert [each.rows for each in deleted.inserts] == [[("1", "x")]]
    assert _updates(inserted) == [KeyUpdate(("1",), {"b": "x"}, None)]
    assert [each.rows for each in inserted.inserts] == [[("1", "x")]]


def test_an_update_changes_pending_rows_of_its_key_and_spares_later_ones() -> None:
    change = _one(
        insert("t", a=number(1), b=text("old")),
        update("t", {"a": number(1)}, b=text("new")),
        insert("t", a=number(1), b=text("later")),
    )

    assert [each.rows for each in change.inserts] == [[("1", "new"), ("1", "later")]]


def test_a_delete_ends_what_was_kept_for_its_key() -> None:
    change = _one(
        upsert("t", "a", a=number(1), b=text("x")),
        delete("t", a=number(1)),
        update("t", {"a": number(1)}, b=text("y")),
    )

    assert change.update is None
    assert [each.rows for each in change.deletes] == [[("1",)]]
    assert change.inserts == []


def test_an_update_that_sets_what_it_matches_on_changes_nothing() -> None:
    assert fold(_activities(update("t", {"a": number(1)}, a=number(1)))) == []


def test_keyed_activities_are_one_phase_however_many() -> None:
    keyed = [
        activity
        for i in range(300)
        for activity in (
            upsert("t", "a", a=number(i % 7), b=number(i)),
            update("t", {"a": number(i % 5)}, c=number(i)),
            insert("t", a=number(i % 3), b=number(-i)),
            delete("t", a=number(5 + i % 6)),
        )
    ]

    change = _one(*keyed)

    (deletes,) = change.deletes
    assert len(_updates(change)) + len(deletes.rows) <= 11
