import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schema import Activity, check_body
from tests.support.deliveries import body, delete, insert, number, text
from tests.support.strategies import activities, cut, cuts
from workers.fold import TableChange, fold

type Row = dict[str, str | None]
type Tables = dict[str, list[Row]]


def _activities(*drawn: dict[str, object]) -> tuple[Activity, ...]:
    return check_body(body(*drawn)).activities


def _matches(row: Row, key: Row) -> bool:
    return all(row.get(name) == value for name, value in key.items())


def _one_by_one(tables: Tables, given_: tuple[Activity, ...]) -> None:
    for activity in given_:
        rows = tables.setdefault(activity.table, [])
        values = {
            name.lower(): value for name, value in zip(activity.names, activity.values, strict=True)
        }
        if activity.operation == "insert":
            rows.append(values)
        else:
            rows[:] = [row for row in rows if not _matches(row, values)]


def _folded(tables: Tables, changes: list[TableChange]) -> None:
    for change in changes:
        rows = tables.setdefault(change.table, [])
        for keys in change.deletes:
            names = [name.lower() for name in keys.names]
            for key in keys.rows:
                match = dict(zip(names, key, strict=True))
                rows[:] = [row for row in rows if not _matches(row, match)]
        for inserted in change.inserts:
            names = [name.lower() for name in inserted.names]
            rows += [dict(zip(names, row, strict=True)) for row in inserted.rows]


def _counted(tables: Tables) -> dict[str, Counter[str]]:
    """Count rows; a column that is NULL and one that is not named are the same."""
    return {
        table: Counter(
            json.dumps({k: v for k, v in sorted(row.items()) if v is not None}) for row in rows
        )
        for table, rows in tables.items()
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
def test_each_set_of_columns_is_one_delete_and_one_insert_at_most(
    drawn: list[dict[str, object]],
) -> None:
    (change,) = fold(_activities(*drawn))

    for row_sets in (change.deletes, change.inserts):
        sets = [frozenset(name.lower() for name in each.names) for each in row_sets]
        assert len(sets) == len(set(sets))
        for each in row_sets:
            assert all(len(row) == len(each.names) == len(each.types) for row in each.rows)


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
