"""What a payload becomes once it is known to keep the rule."""

from typing import NamedTuple

from schema.types import ColumnType


class Activity(NamedTuple):
    """One insert or delete. `names`, `types` and `values` are of one length and not empty.

    `values` holds canonical texts (see `schema.values`), None for null.
    """

    operation: str
    table: str
    names: tuple[str, ...]
    types: tuple[ColumnType, ...]
    values: tuple[str | None, ...]


class Transaction(NamedTuple):
    """What is applied whole or not at all: one or more activities, in order."""

    activities: tuple[Activity, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        """The distinct tables, in the order in which they are first named."""
        return tuple(dict.fromkeys(activity.table for activity in self.activities))
