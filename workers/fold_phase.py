"""One phase of the fold of a table: activities in any order that one set of statements can apply.

The batch's own rows are pending, with their values known, so that an activity takes effect on them
here. For the rows that are there already, deletes join the phase's delete keys, and updates and
upserts are kept for their key: all those of a phase match on the same columns, which gives one row
a key. Statements delete first, then update, then insert. An activity that would have to come in
another order is for the next phase: `takes_delete`, `takes_update`. Or, if it is an update that the
phase `commutes_with`, for an earlier one.
"""

from collections.abc import Collection
from itertools import chain

from schema import ColumnType
from workers.shapes import KeyedShape, Shape
from workers.table_change import (
    ColumnSet,
    KeyChecks,
    KeyUpdate,
    Row,
    RowSet,
    TableChange,
    TableUpdate,
)

type Values = dict[str, str | None]
"""Values by the column's name without case."""


class _KeyLog:
    """What happened to a key: each step has the values set, and how many rows were inserted before.

    `inserts_at` is the step, if any, of an upsert that inserts a row where there is none.
    """

    __slots__ = ("inserts_at", "steps")

    def __init__(self) -> None:
        self.steps: list[tuple[int, Values]] = []
        self.inserts_at: int | None = None

    def add(self, rows_before: int, values: Values) -> None:
        """Add what an update sets, or an upsert of a row that is there."""
        if self.steps and self.steps[-1][0] == rows_before:
            self.steps[-1][1].update(values)
        else:
            self.steps.append((rows_before, values))

    def add_insert(self, rows_before: int, values: Values) -> None:
        self.inserts_at = len(self.steps)
        self.steps.append((rows_before, values))


class Phase:
    """One phase of a table; `defaults` are the table's columns with a default, without case.

    `_pending` maps a row's number to it; a row that a delete strikes is gone from it. `_indexes`
    holds, for every set of columns that was matched on, where each key's rows are: made when it is
    first needed and kept up by later inserts, so that a fold is linear in the batch. `_moved` has
    the keys that an update took rows from, or to.
    """

    def __init__(self, defaults: Collection[str] = ()) -> None:
        self._defaults = frozenset(defaults)
        self._left_to_default = frozenset[str]()
        self._shapes: dict[ColumnSet, Shape] = {}
        self._pending: dict[int, tuple[ColumnSet, Row]] = {}
        self._inserted = 0
        self._indexes: dict[ColumnSet, dict[Row, list[int]]] = {}
        self._places: dict[tuple[ColumnSet, ColumnSet], tuple[int, ...]] = {}
        self._delete_keys: dict[ColumnSet, dict[Row, None]] = {}
        self._key: ColumnSet | None = None
        self._logs: dict[Row, _KeyLog] = {}
        self._set_columns: set[str] = set()
        self._last_keyed: KeyedShape | None = None
        self._moved: set[Row] = set()
        self._has_upserts = False
        self._checks: KeyChecks | None = None

    def takes_check(self, columns: ColumnSet) -> bool:
        """Whether the keys by these columns are still those that the phase began with.

        But for keys that the activities of the phase name: the caller knows of these.
        """
        return (
            self._set_columns.isdisjoint(columns)
            and not (self._has_upserts and self._key != columns)
            and all(set(columns).issuperset(each) for each in self._delete_keys)
        )

    def check(self, place: int, shape: Shape, key: Row) -> None:
        """Note that no row may have a key when the phase begins."""
        if self._checks is None:
            self._checks = KeyChecks(RowSet(shape.names, shape.types, []), [])
        self._checks.keys.rows.append(key)
        self._checks.places.append(place)

    def insert(self, shape: Shape, row: Row) -> None:
        number = self._inserted
        self._inserted += 1
        self._shapes.setdefault(shape.columns, shape)
        self._pending[number] = (shape.columns, row)
        for columns, index in self._indexes.items():
            key = row if columns == shape.columns else self._key_of(columns, shape.columns, row)
            index.setdefault(key, []).append(number)
        if self._defaults:
            self._left_to_default |= self._defaults.difference(shape.columns)

    def takes_delete(self, columns: ColumnSet, key: Row) -> bool:
        """Whether the phase's statements can do a delete, which comes before updates there."""
        if self._left_to_default and not self._left_to_default.isdisjoint(columns):
            return False
        if self._key is None or self._key == columns:
            return key not in self._moved
        return not self._has_upserts and self._set_columns.isdisjoint(columns)

    def delete(self, shape: Shape, key: Row) -> None:
        columns = shape.columns
        self._shapes.setdefault(columns, shape)
        self._delete_keys.setdefault(columns, {})[key] = None
        for number in self._index(columns).pop(key, ()):
            self._pending.pop(number, None)  # another index may have struck it already
        if columns == self._key:
            self._logs.pop(key, None)

    def takes_update(self, columns: ColumnSet, key: Row) -> bool:
        """Whether the phase can do an update or upsert by these columns."""
        return (
            (self._key is None or self._key == columns)
            and key not in self._moved
            and self._left_to_default.isdisjoint(columns)
        )

    def commutes_with(self, keyed: KeyedShape) -> bool:
        """Whether an update that follows the phase would have the same effect before it."""
        sets = keyed.shape.columns
        return (
            not (self._inserted or self._has_upserts)
            and self._set_columns.isdisjoint((*keyed.match.columns, *sets))
            and set(sets).isdisjoint(chain(self._key or (), *self._delete_keys))
        )

    def update(self, keyed: KeyedShape, key: Row, row: Row) -> None:
        """Set the values of `row` where the columns to match on have those of `key`."""
        values = self._start_update(keyed, row)
        moved_to = list(key)
        for column, place, key_place in keyed.shared:
            if row[place] != key[key_place]:
                moved_to[key_place] = values[column] = row[place]
                self._set_columns.add(column)
        if values:
            self._log(key).add(self._inserted, values)
        if (moved := tuple(moved_to)) != key:
            self._moved |= {key, moved}

    def upsert(self, keyed: KeyedShape, key: Row, row: Row) -> None:
        """Set the values of `row` where the columns to match on are `key`, or insert `row`."""
        values = self._start_update(keyed, row)
        self._has_upserts = True
        log = self._logs.get(key)
        if (log is not None and log.inserts_at is not None) or self._has_pending(key):
            if values:
                self._log(key).add(self._inserted, values)
        elif key in self._delete_keys.get(keyed.match.columns, ()):
            self.insert(keyed.shape, row)
        else:
            self._log(key).add_insert(self._inserted, values)

    def _start_update(self, keyed: KeyedShape, row: Row) -> Values:
        if keyed is not self._last_keyed:
            self._last_keyed = keyed
            self._key = keyed.match.columns
            for shape in (keyed.match, keyed.shape):
                self._shapes.setdefault(shape.columns, shape)
            self._index(self._key)
            self._set_columns.update(keyed.columns)
        return dict(zip(keyed.columns, keyed.values(row), strict=True))

    def _log(self, key: Row) -> _KeyLog:
        log = self._logs.get(key)
        if log is None:
            log = self._logs[key] = _KeyLog()
        return log

    def _has_pending(self, key: Row) -> bool:
        assert self._key is not None  # noqa: S101  # an upsert has set it
        numbers = self._indexes[self._key].get(key)
        while numbers and numbers[-1] not in self._pending:  # struck through another index
            numbers.pop()
        return bool(numbers)

    def _index(self, columns: ColumnSet) -> dict[Row, list[int]]:
        index = self._indexes.get(columns)
        if index is None:
            index = self._indexes[columns] = {}
            for number, (own, row) in self._pending.items():
                index.setdefault(self._key_of(columns, own, row), []).append(number)
        return index

    def _key_of(self, columns: ColumnSet, own: ColumnSet, row: Row) -> Row:
        """Return a row's values in `columns`; a column that it does not name is NULL."""
        places = self._places.get((columns, own))
        if places is None:
            at = {column: place for place, column in enumerate(own)}
            places = tuple([at.get(column, len(own)) for column in columns])
            self._places[columns, own] = places
        values = (*row, None)
        return tuple([values[place] for place in places])

    def change(self, table: str) -> TableChange:
        """Return the statements' content. The phase is used up."""
        updates = [self._key_update(key, log) for key, log in self._logs.items()]
        updates = [each for each in updates if each.sets or each.inserts is not None]
        inserts: dict[ColumnSet, list[Row]] = {}
        for columns, row in self._pending.values():
            inserts.setdefault(columns, []).append(row)
        return TableChange(
            table,
            [
                self._row_set(each, list(self._delete_keys[each]))
                for each in sorted(self._delete_keys)
            ],
            TableUpdate(self._key, self._columns(), updates) if self._key and updates else None,
            [self._row_set(columns, rows) for columns, rows in inserts.items()],
            self._checks,
        )

    def _key_update(self, key: Row, log: _KeyLog) -> KeyUpdate:
        """Set the values in the pending rows; return the update of the rows that are there."""
        assert self._key is not None  # noqa: S101  # or there were no logs
        numbers = self._indexes[self._key].get(key, [])
        left = len(numbers)
        values: Values = {}
        inserts: Collection[str] | None = None
        for step in reversed(range(len(log.steps))):
            rows_before, earlier = log.steps[step]
            while left and numbers[left - 1] >= rows_before:
                left -= 1
                self._set_pending(numbers[left], values)
            values = earlier | values if values else earlier
            if step == log.inserts_at:
                inserts = values.keys()
        for number in numbers[:left]:
            self._set_pending(number, values)
        if key in self._delete_keys.get(self._key, ()):
            return KeyUpdate(key, {}, None)
        return KeyUpdate(key, values, inserts)

    def _set_pending(self, number: int, values: Values) -> None:
        if not values or number not in self._pending:
            return
        columns, row = self._pending[number]
        changed = dict(zip(columns, row, strict=True)) | values
        names = tuple(sorted(changed))
        self._pending[number] = names, tuple([changed[name] for name in names])

    def _columns(self) -> dict[str, tuple[str, ColumnType]]:
        """Return every column's name as it was first given, and its type."""
        found: dict[str, tuple[str, ColumnType]] = {}
        for shape in self._shapes.values():
            for column, name, declared in zip(shape.columns, shape.names, shape.types, strict=True):
                found.setdefault(column, (name, declared))
        return found

    def _row_set(self, columns: ColumnSet, rows: list[Row]) -> RowSet:
        shape = self._shapes.get(columns)
        if shape is None:  # rows that an update gave more columns
            known = self._columns()
            names, types = zip(*(known[column] for column in columns), strict=True)
            shape = self._shapes[columns] = Shape.of(names, types)
        return RowSet(shape.names, shape.types, rows)
