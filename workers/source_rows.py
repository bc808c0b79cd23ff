"""The source rows of an INSERT or a MERGE: rows of several column sets as rows of one. Pure.

A row is an array of texts: in a MERGE first its kind and its key, then a value for each column,
then, if the rows' columns differ where it matters, its marks: a digit for each such column, or for
every column next to updates: most batches of a table then have the same text. A column of the key
that no row changes has its value in the key alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from workers import row_expansion as expand
from workers.table_change import ColumnSet, KeyUpdate, RowSet, TableUpdate

DELETE, UPDATE, UPSERT, INSERT = "d", "u", "p", "i"
"""The kinds of rows: what they do with the rows that match, or bring where none does."""
_UPDATES, _INSERTS = 1, 2
"""Added up in a mark: the row has the column for rows that match, or for a new row."""


class _GivenColumns(NamedTuple):
    """The columns that a row has for rows that match; for a new one, None if it brings none."""

    updates: frozenset[str]
    inserts: frozenset[str] | None

    def mark(self, column: str) -> str:
        inserts = self.inserts is not None and column in self.inserts
        return str(_UPDATES * (column in self.updates) + _INSERTS * inserts)


class SourceRows:
    """Rows to update by key and rows to insert; `defaults` has the columns' default expressions.

    A new row that leaves out a column gets its default, as by an INSERT without the column.
    """

    def __init__(
        self,
        update: TableUpdate | None,
        inserts: Sequence[RowSet],
        defaults: Mapping[str, str],
        key: ColumnSet | None = None,
    ) -> None:
        self._update, self._inserts, self._defaults = update, inserts, defaults
        self._keyed = key is not None
        self._key = key or ()
        self._types = _types(update, inserts)
        self._updating = {self._columns_of(each) for each in update.rows} if update else set()
        self._inserting = {_GivenColumns(frozenset(), frozenset(each.columns)) for each in inserts}
        self._inserting |= {each for each in self._updating if each.inserts is not None}
        self._places = {column: place for place, column in enumerate(self._own())}
        marked = [column for column in self._places if self._needs_mark(column)]
        marked = list(self._places) if update and marked else marked
        self._marked = {column: place for place, column in enumerate(marked)}

    def _columns_of(self, each: KeyUpdate) -> _GivenColumns:
        inserts = None if each.inserts is None else frozenset((*self._key, *each.inserts))
        return _GivenColumns(frozenset(each.sets), inserts)

    def _own(self) -> Iterator[str]:
        """Yield the columns that have a value next to the key's."""
        for column in self._types:
            if column in self._updated or (column in self._inserted and self._has_own(column)):
                yield column

    def _has_own(self, column: str) -> bool:
        return column not in self._key or self._is_defaulted(column)

    @cached_property
    def _updated(self) -> frozenset[str]:
        return frozenset().union(*(each.updates for each in self._updating))

    @cached_property
    def _inserted(self) -> frozenset[str]:
        return frozenset().union(*(each.inserts or () for each in self._inserting))

    def _is_defaulted(self, column: str) -> bool:
        """Whether a new row leaves out a column with a default."""
        return column in self._defaults and not all(
            column in (each.inserts or ()) for each in self._inserting
        )

    def _is_left_alone(self, column: str) -> bool:
        """Whether one row updates a column and another does not."""
        return column in self._updated and not all(
            column in each.updates for each in self._updating
        )

    def _is_not_inserted(self, column: str) -> bool:
        """Whether a row has a value for rows that match, and not for a new one."""
        return any(
            column in each.updates and column not in (each.inserts or ())
            for each in self._inserting
        )

    def _needs_mark(self, column: str) -> bool:
        return (
            self._is_left_alone(column)
            or self._is_not_inserted(column)
            or self._is_defaulted(column)
        )

    @property
    def first_place(self) -> int:
        """The place of the first column's value."""
        return 1 + len(self._key) if self._keyed else 0

    @property
    def brings_rows(self) -> bool:
        """Whether a row may be inserted."""
        return bool(self._inserting)

    def select(self) -> list[str]:
        """Return the columns c0, c1, … and the marks `m` of the rows, without kind and key."""
        first = self.first_place
        found = [
            f"{expand.typed(expand.value(first + place), self._types[column][1])} AS c{place}"
            for column, place in self._places.items()
        ]
        if self._marked:
            found.append(f"{expand.value(first + len(self._places))} AS m")
        return found

    def assignments(self) -> list[str]:
        """Return what a row `s` sets in a row `t` that matches."""
        return [
            f"`{self._types[column][0]}` = {self._kept_or_set(column, place)}"
            for column, place in self._places.items()
            if column in self._updated
        ]

    def _kept_or_set(self, column: str, place: int) -> str:
        if column not in self._marked:
            return f"s.c{place}"
        return f"IF({self._has_mark(column, _UPDATES)}, s.c{place}, t.`{self._types[column][0]}`)"

    def new_row(self) -> tuple[list[str], list[str]]:
        """Return the columns of a new row and their values in `s`."""
        columns = [column for column in self._types if column in self._inserted]
        return [self._types[each][0] for each in columns], [self._new_value(e) for e in columns]

    def _new_value(self, column: str) -> str:
        if column not in self._places:
            return f"s.k{self._key.index(column)}"
        own = f"s.c{self._places[column]}"
        if column not in self._marked:
            return own
        return (
            f"IF({self._has_mark(column, _INSERTS)}, {own}, {self._defaults.get(column, 'NULL')})"
        )

    def _has_mark(self, column: str, mark: int) -> str:
        either = f"'{mark}', '{_UPDATES + _INSERTS}'"
        return f"SUBSTR(s.m, {self._marked[column] + 1}, 1) IN ({either})"

    def rows(self) -> Iterator[list[str | None]]:
        """Yield the rows to update, then those to insert."""
        for each in self._update.rows if self._update else ():
            yield self._updating_row(each)
        for row_set in self._inserts:
            yield from self._new_rows(row_set)

    def _updating_row(self, each: KeyUpdate) -> list[str | None]:
        values = each.sets
        if each.inserts is not None:
            values = {**dict(zip(self._key, each.key, strict=True)), **values}
        kind = UPDATE if each.inserts is None else UPSERT
        row = [kind, *each.key, *(values.get(column) for column in self._places)]
        return row + self._marks(self._columns_of(each))

    def _new_rows(self, row_set: RowSet) -> Iterator[list[str | None]]:
        given = {column: place for place, column in enumerate(row_set.columns)}
        order = [given.get(column, -1) for column in (*self._key, *self._places)]
        kind: list[str | None] = [INSERT] if self._keyed else []
        marks = self._marks(_GivenColumns(frozenset(), frozenset(given)))
        for row in row_set.rows:
            values = (*row, None)  # the last stands for a column that is left out
            yield [*kind, *[values[place] for place in order], *marks]

    def _marks(self, columns: _GivenColumns) -> list[str | None]:
        return ["".join(map(columns.mark, self._marked))] if self._marked else []


def _types(update: TableUpdate | None, inserts: Sequence[RowSet]) -> dict[str, tuple[str, str]]:
    """Return every column's name as given and its base type.

    In the order of the names, so that batches of the same columns have the same text.
    """
    found: dict[str, tuple[str, str]] = {}
    for row_set in inserts:
        for name, declared in zip(row_set.names, row_set.types, strict=True):
            found.setdefault(name.casefold(), (name, declared.base))
    for column, (name, declared) in (update.columns if update else {}).items():
        found.setdefault(column, (name, declared.base))
    return dict(sorted(found.items()))
