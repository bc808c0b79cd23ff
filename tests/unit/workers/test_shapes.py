from schema import Activity, ColumnValues, parse_type
from workers.shapes import KeyedShape, Shape, ShapeCache

NUMBER, TEXT = parse_type("INTEGER"), parse_type("TEXT")


def test_a_shape_sorts_columns_without_case_and_keeps_their_names() -> None:
    shape = Shape.of(("b", "A", "c"), (TEXT, NUMBER, TEXT))

    assert shape.columns == ("a", "b", "c")
    assert shape.names == ("A", "b", "c")
    assert shape.types == (NUMBER, TEXT, TEXT)
    assert shape.row(("x", "1", None)) == ("1", "x", None)


def test_rows_of_one_column_and_sorted_rows_stay_tuples() -> None:
    assert Shape.of(("a",), (NUMBER,)).row(("1",)) == ("1",)
    assert Shape.of(("a", "b"), (NUMBER, TEXT)).row(("1", "x")) == ("1", "x")


def test_a_keyed_shape_parts_the_key_from_the_other_columns() -> None:
    match = Shape.of(("c", "a"), (TEXT, NUMBER))
    keyed = KeyedShape.of(match, Shape.of(("a", "b", "d"), (NUMBER, TEXT, TEXT)))

    assert keyed.columns == ("b", "d")
    assert keyed.values(("1", "x", "y")) == ("x", "y")
    assert keyed.shared == (("a", 0, 0),)


def test_a_row_of_the_key_alone_has_no_other_columns() -> None:
    match = Shape.of(("a",), (NUMBER,))
    keyed = KeyedShape.of(match, match)

    assert (keyed.columns, keyed.values(("1",))) == ((), ())


def test_the_cache_keeps_types_apart() -> None:
    cache = ShapeCache()
    number = cache.shape(("a",), (NUMBER,))

    assert cache.shape(("a",), (NUMBER,)) is number
    assert cache.shape(("a",), (TEXT,)).types == (TEXT,)

    match = ColumnValues(("a",), (NUMBER,), ("1",))
    activity = Activity("update", "t", ("b",), (TEXT,), ("x",), match)
    keyed = cache.keyed(activity, match)
    assert cache.keyed(activity, match) is keyed
    other = ColumnValues(("a",), (TEXT,), ("1",))
    assert cache.keyed(activity, other).match.types == (TEXT,)
