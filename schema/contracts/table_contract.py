"""The contract of a table, as `schema.odcs` reads it from a YAML file: frozen, small, complete.

Every text of a value (a bound, an enum's value) is canonical for its column's type, as in
`schema.values`. Names are as written; compare columns without case and tables with case, as
BigQuery does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, NamedTuple

from schema.types import ColumnType, parse_type

RETIRED: Final = "retired"
_OPEN_CLASSES: Final = frozenset({"", "public"})


class Mode(StrEnum):
    """What a contract does with a transaction that breaks it."""

    EVOLVE = "evolve"
    """Nothing: a new column is added. The contract only says how the table is made."""
    REPORT = "report"
    """Accept it, count it and list it."""
    FREEZE = "freeze"
    """Refuse it."""


class Duplicate(StrEnum):
    """What an insert of a primary key that the table has already does."""

    ALLOW = "allow"
    REJECT = "reject"
    UPSERT = "upsert"


class Transform(StrEnum):
    """What becomes of a column's values before anything is published, logged or spooled."""

    HASH = "hash"
    DROP = "drop"
    LAST4 = "last4"


class Granularity(StrEnum):
    """The size of a partition. HOUR is not for DATE columns."""

    HOUR = "HOUR"
    DAY = "DAY"
    MONTH = "MONTH"
    YEAR = "YEAR"


class Partition(NamedTuple):
    """`column` is a DATE, DATETIME or TIMESTAMP; `expiration_days` None keeps partitions."""

    column: str
    granularity: Granularity = Granularity.DAY
    expiration_days: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractColumn:
    """One column.

    `declared` is the source type as written, `VARCHAR(255)`, and `type` its BigQuery type. Lengths
    are in characters, of BYTES in bytes; `max_length` is also the n of VARCHAR(n). `pattern` is
    RE2, and matches anywhere in the value. `enum` is empty where every value is allowed.
    `required` is true for each column of the primary key.
    """

    name: str
    declared: str
    required: bool = False
    description: str = ""
    examples: tuple[Any, ...] = ()
    pattern: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    exclusive_minimum: str | None = None
    exclusive_maximum: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    enum: tuple[str, ...] = ()
    classification: str = ""
    transform: Transform | None = None

    @property
    def type(self) -> ColumnType:
        """The BigQuery type. `parse_type` keeps it: equal texts are one object."""
        return parse_type(self.declared)

    @property
    def is_open(self) -> bool:
        """Whether everybody may see its values: in reports and messages."""
        return self.transform is None and self.classification in _OPEN_CLASSES


@dataclass(frozen=True, kw_only=True)
class TableContract:
    """The contract of one table. One file may hold several, which share its id and version.

    `contract` is the file's name for itself, shown in messages, or its id where it has no name.
    `primary_key` has the columns' names in the order of the key, `clustering` those of the
    clustering. `notify` is the URL that rejections on the table are reported to. `file` and
    `line` say where the table stands.
    """

    table: str
    contract: str
    id: str
    version: str
    status: str
    team: str = ""
    owner: str = ""
    description: str = ""
    mode: Mode = Mode.EVOLVE
    duplicate: Duplicate = Duplicate.ALLOW
    columns: tuple[ContractColumn, ...]
    primary_key: tuple[str, ...] = ()
    partition: Partition | None = None
    clustering: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    notify: str = ""
    file: str = ""
    line: int = 0

    @cached_property
    def by_name(self) -> Mapping[str, ContractColumn]:
        """The columns by their names without case."""
        return {column.name.casefold(): column for column in self.columns}

    def column(self, name: str) -> ContractColumn | None:
        """Return the column with this name, in any case."""
        return self.by_name.get(name.casefold())

    @property
    def title(self) -> str:
        """`contract orders 2.1.0, team shop`: how messages name it."""
        return f"contract {self.contract} {self.version}" + (self.team and f", team {self.team}")


class ContractFault(NamedTuple):
    """What is wrong in a file. `line` starts at 1; `field` is a path: `schema[0].name`."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field + ': ' if self.field else ''}{self.message}"


class InvalidContracts(ValueError):
    """A set of contracts has faults, all of them in `faults`. No part of it can be used."""

    def __init__(self, faults: Iterable[ContractFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def by_table(contracts: Iterable[TableContract]) -> dict[str, TableContract]:
    """Return the contracts in force by their tables: those whose status is not `retired`.

    Raises InvalidContracts where two in force are for the same table.
    """
    found: dict[str, TableContract] = {}
    faults: list[ContractFault] = []
    for each in contracts:
        if each.status == RETIRED:
            continue
        first = found.setdefault(each.table, each)
        if first is not each:
            message = f"{each.table} has a contract already, in {first.file}:{first.line}"
            faults.append(ContractFault(each.file, each.line, "schema", message))
    if faults:
        raise InvalidContracts(faults)
    return found
