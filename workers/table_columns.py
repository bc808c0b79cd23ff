"""The columns of tables as the catalogue has them."""

from collections.abc import Mapping
from dataclasses import dataclass

from schema import ColumnType


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the catalog has it: its name as written, its type, its parameters if it has any.

    `base` is the type without parameters (`NUMERIC`); `precision` is None where the column is
    unparameterised and so takes whatever its base takes.
    """

    name: str
    base: str
    precision: int | None = None
    scale: int | None = None
    required: bool = False
    """NOT NULL, and without a default."""

    def takes(self, declared: ColumnType) -> bool:
        """Whether every value of the declared type is a value of this column's type."""
        if declared.base != self.base:
            return False
        if self.precision is None or declared.precision is None:
            return True
        own, theirs = self.scale or 0, declared.scale or 0
        return theirs <= own and declared.precision - theirs <= self.precision - own

    def made_as(self, declared: ColumnType) -> bool:
        """Whether DDL with the declared type makes exactly this column."""
        plain = declared.bigquery == declared.base
        size = (None, 0) if plain else (declared.precision, declared.scale or 0)
        return (self.base, self.precision, self.scale or 0) == (declared.base, *size)


# A table's columns by their names without case. None stands for a table that is not there.
type Columns = Mapping[str, Column]
type CatalogSnapshot = Mapping[str, Columns | None]
