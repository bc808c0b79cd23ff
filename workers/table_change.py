"""What a batch does to a table, as the fold leaves it and the SQL is written from. Pure."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from schema import ColumnType

type Row = tuple[str | None, ...]
"""Canonical texts, equal exactly where SQL's values are: see `schema.values`."""
type ColumnSet = tuple[str, ...]
"""A set of columns in one order: names without case, sorted, so that (a, b) and (b, a) are one."""


class RowSet(NamedTuple):
    """Rows (or delete keys) that share their columns; `rows[i][j]` belongs to `names[j]`."""

    names: tuple[str, ...]
    types: tuple[ColumnType, ...]
    rows: list[Row]

    @property
    def columns(self) -> ColumnSet:
        return tuple(name.casefold() for name in self.names)


class KeyUpdate(NamedTuple):
    """What happens to the rows with one key: they get the values of `sets`, by column.

    Where there is no such row, a row is inserted, unless `inserts` is None. It has the key's
    columns and those of `sets` that are in `inserts`.
    """

    key: Row
    sets: Mapping[str, str | None]
    inserts: Collection[str] | None


class TableUpdate(NamedTuple):
    """Updates by one set of columns, each key once. `columns` has the names and types as given."""

    key: ColumnSet
    columns: Mapping[str, tuple[str, ColumnType]]
    rows: list[KeyUpdate]


class KeyChecks(NamedTuple):
    """Keys that no row may have. `places[i]` is the place of the insert of `keys.rows[i]`.

    It counts the activities of the batch.
    """

    keys: RowSet
    places: list[int]


class TableChange(NamedTuple):
    """One phase of the effect on a table.

    Everything but `inserts` acts on the rows that were there before the phase. First `checks` are
    made, then the rows that match `deletes` go, the others are updated, and the rows of `inserts`
    come. A key is not in both `deletes` and `update`.
    """

    table: str
    deletes: list[RowSet]
    update: TableUpdate | None
    inserts: list[RowSet]
    checks: KeyChecks | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.mutates or self.inserts or self.checks)

    @property
    def mutates(self) -> bool:
        """Whether rows are changed or removed: BigQuery cancels one of two jobs that do so."""
        return bool(self.deletes or self.update)
