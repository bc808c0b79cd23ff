"""The bytes that statements bill on demand, from the sizes of the tables.

https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#on-demand_query_size_calculation:
a statement bills the columns that it reads; UPDATE, DELETE and a MERGE with such clauses bill the
whole table too, or the partitions that constant bounds leave. At least 10 MB are billed for each
table that a statement names: https://cloud.google.com/bigquery/pricing#on_demand_pricing.
Clustering is not reckoned with, so the sum is an upper bound for clustered tables.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlglot import exp

from ops.rig.strict_bigquery.parsed_script import ParsedStatement
from ops.rig.strict_bigquery.partition_bounds import Bounds, bounds
from ops.rig.strict_bigquery.value_types import ColumnTypes

MEGABYTE: Final = 2**20
MINIMUM_BYTES: Final = 10 * MEGABYTE
DOLLARS_A_TIB: Final = 6.25
"""In the US, https://cloud.google.com/bigquery/pricing#on_demand_pricing."""

_HOUR, _DAY = 3_600, 86_400
# https://cloud.google.com/bigquery/pricing#data: a text has 2 bytes and its UTF-8; 32 is assumed.
_WIDTHS: Final = {"BOOL": 1, "STRING": 34, "BYTES": 34, "JSON": 34, "NUMERIC": 16, "BIGNUMERIC": 32}


class Partitioning(NamedTuple):
    """A table's partition column, and how many seconds a partition holds."""

    column: str
    seconds: int = _DAY


class TableShape(NamedTuple):
    """What a table is like: its columns and partitioning."""

    columns: ColumnTypes
    partitioning: Partitioning | None = None


@dataclass
class TableSizes:
    """The sizes of tables: what was inserted, on top of a given size for other tables than ours.

    Inserted rows count for the partition of now.
    """

    given_bytes: float = 0.0
    """Of each table whose name does not begin with `gatekeeper_`, in equal partitions up to now."""
    given_partitions: int = 1
    clock: Callable[[], float] = time.time
    inserted: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    def insert(self, table: str, size: int) -> None:
        """Add the bytes of inserted rows, by the hour."""
        self.inserted[table][int(self.clock() // _HOUR)] += size

    def size(self, table: str, shape: TableShape, within: Bounds) -> float:
        """Return the bytes of a table in the partitions within some bounds."""
        if shape.partitioning is None:
            within = Bounds()
        width = shape.partitioning.seconds if shape.partitioning else _HOUR
        own = sum(
            size
            for hour, size in self.inserted.get(table, {}).items()
            if _overlaps(hour * _HOUR // width * width, width, within)
        )
        return own + self._given(table, width, within)

    def _given(self, table: str, width: int, within: Bounds) -> float:
        if not self.given_bytes or table.rpartition(".")[2].startswith("gatekeeper_"):
            return 0.0
        last = int(self.clock() // width) * width
        left = sum(_overlaps(last - i * width, width, within) for i in range(self.given_partitions))
        return self.given_bytes * left / self.given_partitions


def _overlaps(begin: float, width: int, within: Bounds) -> bool:
    return begin <= within.high and begin + width > within.low


def billed(
    statement: ParsedStatement,
    shapes: Mapping[str, TableShape],
    sizes: TableSizes,
    parameters: Mapping[str, str | None],
) -> dict[str, int]:
    """Return the bytes that a statement bills, by table."""
    found = dict.fromkeys(statement.tables, 0.0)
    if statement.tree is None:
        return dict.fromkeys(found, MINIMUM_BYTES)
    for table in statement.tree.find_all(exp.Table):
        name = statement.named(table)
        if name:
            shape = shapes.get(name, TableShape({}))
            within = (
                bounds(table, shape.partitioning.column, parameters)
                if shape.partitioning
                else Bounds()
            )
            share = _share(statement, table, shape.columns)
            found[name] += share * sizes.size(name, shape, within)
    return {name: _rounded(size) for name, size in found.items()}


def _share(statement: ParsedStatement, table: exp.Table, columns: ColumnTypes) -> float:
    """Return how often the table's bytes are billed: the columns read, and all if it mutates."""
    is_target = table is statement.target_node
    if is_target and not statement.mutates:
        return 0.0
    read = _read_share(table, columns)
    return read + 1.0 if is_target else read


def _read_share(table: exp.Table, columns: ColumnTypes) -> float:
    """Return the part of a row that the columns named around the table make up."""
    parent = table.parent
    scope = parent.parent if isinstance(parent, exp.From | exp.Join) else parent
    if not columns or scope is None or scope.find(exp.Star):
        return 1.0
    read = (each for each in scope.find_all(exp.Column) if not _is_inserted(each))
    named = {each.name.casefold() for each in read} & columns.keys()
    every = sum(map(_width, columns.values()))
    return sum(_width(columns[name]) for name in named) / every


def _is_inserted(column: exp.Column) -> bool:
    """Whether a column is in the list of a MERGE's INSERT, so that it is not read."""
    insert = column.find_ancestor(exp.Insert)
    return insert is not None and column.parent is insert.this


def _width(type_: str) -> int:
    return _WIDTHS.get(type_, 8)


def _rounded(size: float) -> int:
    """Round up to a megabyte, at least ten: the pricing page."""
    return max(math.ceil(size / MEGABYTE) * MEGABYTE, MINIMUM_BYTES)
