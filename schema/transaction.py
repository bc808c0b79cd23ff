"""A valid payload in typed form."""

from typing import NamedTuple

from schema.types import ColumnType


class ColumnValues(NamedTuple):
    """Columns and a value for each. The three are not empty and have the same length.

    `values` holds canonical texts (see `schema.values`), None for null.
    """

    names: tuple[str, ...]
    types: tuple[ColumnType, ...]
    values: tuple[str | None, ...]


class Activity(NamedTuple):
    """One operation on a table. `names`, `types` and `values` are as in `ColumnValues`.

    An insert and an upsert write these columns, an update sets them, a delete matches on them.
    `match` has the columns that an update matches on, and the key of an upsert, whose values are
    not None; it is None for the others, and while the key of an upsert is open.
    """

    operation: str
    table: str
    names: tuple[str, ...]
    types: tuple[ColumnType, ...]
    values: tuple[str | None, ...]
    match: ColumnValues | None = None

    @property
    def has_open_key(self) -> bool:
        """Whether it is an upsert without `key`: only the table's contract can give it one."""
        return self.match is None and self.operation == "upsert"


class Transaction(NamedTuple):
    """One or more activities, in order. They are applied all or not at all."""

    activities: tuple[Activity, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        """The distinct tables, in the order of their first use."""
        if len(self.activities) == 1:  # as most have, and three times as fast
            return (self.activities[0].table,)
        return tuple(dict.fromkeys(activity.table for activity in self.activities))

    @property
    def default_ordering_key(self) -> str:
        """The first table, which is the only one in most transactions."""
        return self.activities[0].table
