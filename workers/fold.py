"""The fold: a batch's activities, in order, brought to their net effect on each table.

A delete strikes the batch's own pending inserts that it matches, then joins the table's delete
keys; an insert joins the pending rows. So the delete keys act only on rows that were there before
the batch, and the rows that are left are inserted after them. Running all deletes and then all
inserts leaves the same rows as running the activities one by one.

Pure: values are canonical texts (`schema.types.canonical`), equal exactly where SQL's values are.
The caller has seen to it that a column has one type throughout the batch.
"""

from collections.abc import Iterable
from typing import NamedTuple

from schema import Activity, ColumnType

type Row = tuple[str | None, ...]
# A set of columns in one order: names without case, sorted, so that (a, b) and (b, a) are one set.
type ColumnSet = tuple[str, ...]


class RowSet(NamedTuple):
    """Rows (or delete keys) that share their columns; `rows[i][j]` belongs to `names[j]`."""

    names: tuple[str, ...]
    types: tuple[ColumnType, ...]
    rows: list[Row]


class TableChange(NamedTuple):
    """The net effect on one table: first every key of `deletes`, then every row of `inserts`."""

    table: str
    deletes: list[RowSet]
    inserts: list[RowSet]


class _Shape(NamedTuple):
    """How an activity's columns map onto their sorted set."""

    columns: ColumnSet
    order: tuple[int, ...]
    names: tuple[str, ...]
    types: tuple[ColumnType, ...]

    def row(self, activity: Activity) -> Row:
        values = activity.values
        return tuple([values[i] for i in self.order])


def _shape(activity: Activity) -> _Shape:
    folded = [name.casefold() for name in activity.names]
    order = tuple(sorted(range(len(folded)), key=folded.__getitem__))
    return _Shape(
        columns=tuple(folded[i] for i in order),
        order=order,
        names=tuple(activity.names[i] for i in order),
        types=tuple(activity.types[i] for i in order),
    )


class _Seen(NamedTuple):
    types: tuple[ColumnType, ...]
    shape: _Shape


class _Table:
    """One table's pending rows and delete keys.

    `_pending` maps a row's number to it; a struck row is gone from it. `_indexes` holds, for every
    set of columns that a delete has named, where each key's rows are: made when the first such
    delete comes, kept up by later inserts, so that a fold is linear in the batch.
    """

    def __init__(self) -> None:
        self._shapes: dict[ColumnSet, _Shape] = {}
        self._pending: dict[int, tuple[ColumnSet, Row]] = {}
        self._inserted = 0
        self._indexes: dict[ColumnSet, dict[Row, list[int]]] = {}
        self._places: dict[tuple[ColumnSet, ColumnSet], tuple[int, ...]] = {}
        self._delete_keys: dict[ColumnSet, dict[Row, None]] = {}

    def insert(self, shape: _Shape, row: Row) -> None:
        number = self._inserted
        self._inserted += 1
        self._shapes.setdefault(shape.columns, shape)
        self._pending[number] = (shape.columns, row)
        for columns, index in self._indexes.items():
            key = row if columns == shape.columns else self._key(columns, shape.columns, row)
            index.setdefault(key, []).append(number)

    def delete(self, shape: _Shape, key: Row) -> None:
        columns = shape.columns
        self._shapes.setdefault(columns, shape)
        self._delete_keys.setdefault(columns, {})[key] = None
        index = self._indexes.get(columns)
        if index is None:
            index = self._indexes[columns] = self._index(columns)
        for number in index.pop(key, ()):
            self._pending.pop(number, None)  # another index may have struck it already

    def _index(self, columns: ColumnSet) -> dict[Row, list[int]]:
        index: dict[Row, list[int]] = {}
        for number, (own, row) in self._pending.items():
            index.setdefault(self._key(columns, own, row), []).append(number)
        return index

    def _key(self, columns: ColumnSet, own: ColumnSet, row: Row) -> Row:
        """Return a row's values in `columns`; a column that it does not name is NULL."""
        places = self._places.get((columns, own))
        if places is None:
            at = {column: place for place, column in enumerate(own)}
            places = tuple([at.get(column, len(own)) for column in columns])
            self._places[columns, own] = places
        values = (*row, None)
        return tuple([values[place] for place in places])

    def change(self, table: str) -> TableChange:
        inserts: dict[ColumnSet, list[Row]] = {}
        for columns, row in self._pending.values():
            inserts.setdefault(columns, []).append(row)
        return TableChange(
            table,
            [self._row_set(columns, list(keys)) for columns, keys in self._delete_keys.items()],
            [self._row_set(columns, rows) for columns, rows in inserts.items()],
        )

    def _row_set(self, columns: ColumnSet, rows: list[Row]) -> RowSet:
        shape = self._shapes[columns]
        return RowSet(shape.names, shape.types, rows)


def fold(activities: Iterable[Activity]) -> list[TableChange]:
    """Return the net effect of activities in order: a change for each table, by first naming."""
    tables: dict[str, _Table] = {}
    # The shape that a tuple of names had last: hashing types costs more than comparing them.
    shapes: dict[tuple[str, ...], _Seen] = {}
    for activity in activities:
        seen = shapes.get(activity.names)
        if seen is None or seen.types != activity.types:
            seen = shapes[activity.names] = _Seen(activity.types, _shape(activity))
        shape = seen.shape
        table = tables.get(activity.table)
        if table is None:
            table = tables[activity.table] = _Table()
        if activity.operation == "insert":
            table.insert(shape, shape.row(activity))
        else:
            table.delete(shape, shape.row(activity))
    return [table.change(name) for name, table in tables.items()]
