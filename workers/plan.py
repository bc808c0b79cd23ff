"""The plan of a batch: which transactions go through, which are rejected, and what DDL they need.

Transactions are checked in order against the catalog and what the accepted ones before them add to
it. One that is refused adds nothing. Pure: the catalog is a mapping.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schema import Activity, ColumnType, Transaction
from workers.entry import Entry
from workers.outcome import Reason, Rejection

MAX_TABLES = 99
"""Tables that one transaction may touch beside the ledger. BigQuery: 100 a transaction,
https://cloud.google.com/bigquery/docs/transactions#limitations."""


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

    def takes(self, declared: ColumnType) -> bool:
        """Tell whether every value of the declared type is a value of this column's type."""
        if declared.base != self.base:
            return False
        if self.precision is None or declared.precision is None:
            return True
        own, theirs = self.scale or 0, declared.scale or 0
        return theirs <= own and declared.precision - theirs <= self.precision - own

    def made_as(self, declared: ColumnType) -> bool:
        """Tell whether DDL with the declared type makes just this column."""
        plain = declared.bigquery == declared.base
        size = (None, 0) if plain else (declared.precision, declared.scale or 0)
        return (self.base, self.precision, self.scale or 0) == (declared.base, *size)


_WANTING = {Reason.TABLE_MISSING, Reason.COLUMN_MISSING}

# A table's columns by their names without case. None stands for a table that is not there.
type Columns = Mapping[str, Column]
type Catalog = Mapping[str, Columns | None]


@dataclass(slots=True)
class Plan:
    """What to do with a batch. `creates` and `adds` hold the columns in the order to make them."""

    accepted: list[Entry] = field(default_factory=list)
    rejected: list[tuple[Entry, Rejection]] = field(default_factory=list)
    creates: dict[str, list[tuple[str, ColumnType]]] = field(default_factory=dict)
    adds: dict[str, list[tuple[str, ColumnType]]] = field(default_factory=dict)

    @property
    def changes_the_catalog(self) -> bool:
        """Tell whether tables or columns have to be made first."""
        return bool(self.creates or self.adds)


class _Refused(Exception):
    """The transaction being checked is rejected."""

    def __init__(self, reason: Reason, error: str) -> None:
        super().__init__(error)
        self.rejection = Rejection(reason, error)


class _Overlay:
    """The catalog as the transactions accepted so far, and the one being checked, leave it."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._accepted: dict[str, dict[str, Column]] = {}
        self._tentative: dict[str, dict[str, Column]] = {}
        self.added: list[tuple[str, str, ColumnType]] = []
        self.fitting: dict[tuple[str, tuple[str, ...]], tuple[ColumnType, ...]] = {}
        """Types that a table's columns are known to take; in a batch columns only come."""

    def columns(self, table: str) -> Columns | None:
        return self._tentative.get(table) or self._accepted.get(table) or self._catalog[table]

    def add(self, table: str, name: str, declared: ColumnType) -> None:
        own = self._tentative.get(table)
        if own is None:
            own = self._tentative[table] = dict(self.columns(table) or {})
        own[name.casefold()] = Column(name, declared.base, declared.precision, declared.scale)
        self.added.append((table, name, declared))

    def keep(self) -> None:
        self._accepted |= self._tentative
        self.forget()

    def forget(self) -> None:
        self._tentative = {}
        self.added = []


def _check(activity: Activity, overlay: _Overlay) -> None:
    columns_named = (activity.table, activity.names)
    if overlay.fitting.get(columns_named) == activity.types:
        return
    columns = overlay.columns(activity.table)
    inserting = activity.operation == "insert"
    if columns is None and not inserting:
        raise _Refused(Reason.TABLE_MISSING, f"there is no table {activity.table} for a delete")
    for name, declared in zip(activity.names, activity.types, strict=True):
        column = columns.get(name.casefold()) if columns else None
        if column is None and not inserting:
            raise _Refused(
                Reason.COLUMN_MISSING, f"{activity.table} has no column {name} for a delete"
            )
        if column is None:
            overlay.add(activity.table, name, declared)
        elif not column.takes(declared):
            own = f"({column.precision},{column.scale or 0})" if column.precision else ""
            raise _Refused(
                Reason.TYPE_CONFLICT,
                f"{activity.table}.{column.name} is {column.base}{own}, not {declared.bigquery}",
            )
    if not overlay.added:  # what only this transaction brings may go with it
        overlay.fitting[columns_named] = activity.types


def _check_whole(transaction: Transaction, overlay: _Overlay) -> None:
    if len(transaction.activities) > MAX_TABLES and len(transaction.tables) > MAX_TABLES:
        raise _Refused(
            Reason.TOO_LARGE,
            f"{len(transaction.tables)} tables: a transaction may touch {MAX_TABLES}",
        )
    for activity in transaction.activities:
        _check(activity, overlay)


def plan(entries: Iterable[Entry], catalog: Catalog) -> Plan:
    """Decide on a batch's entries, in order; `catalog` has every table that they name."""
    result, overlay = Plan(), _Overlay(catalog)
    for entry in entries:
        if entry.rejection is not None:
            result.rejected.append((entry, entry.rejection))
            continue
        assert entry.transaction is not None  # noqa: S101  # an entry has the one or the other
        try:
            _check_whole(entry.transaction, overlay)
        except _Refused as refused:
            overlay.forget()
            result.rejected.append((entry, refused.rejection))
            continue
        for table, name, declared in overlay.added:
            made = result.creates if catalog[table] is None else result.adds
            made.setdefault(table, []).append((name, declared))
        overlay.keep()
        result.accepted.append(entry)
    return result


def before_ddl(entries: Iterable[Entry], plan: Plan, lacking: Plan) -> int:
    """Return how many of a batch's entries have to be settled before its DDL, 0 for none.

    Those up to the last one that is refused for want of a table or column which a later one makes.
    `lacking` is the part of the plan's DDL that is still to be done.
    """
    made = set(lacking.creates) | {
        (table, name.casefold()) for table, columns in lacking.adds.items() for name, _ in columns
    }
    if not made or not plan.rejected:
        return 0
    refused = {entry.key for entry, rejection in plan.rejected if rejection.reason in _WANTING}
    accepted = {entry.key for entry in plan.accepted}
    given: set[str | tuple[str, str]] = set()
    wanted: dict[str | tuple[str, str], int] = {}
    settled_first = 0
    for count, entry in enumerate(entries, 1):
        names = _names(entry) & made
        if entry.key in refused:
            wanted |= dict.fromkeys(names - given, count)
        elif entry.key in accepted:
            settled_first = max([settled_first, *(wanted.pop(name, 0) for name in names)])
            given |= names
    return settled_first


def _names(entry: Entry) -> set[str | tuple[str, str]]:
    """Return the tables that an entry names, and their columns without case."""
    names: set[str | tuple[str, str]] = set()
    for activity in entry.transaction.activities if entry.transaction else ():
        names.add(activity.table)
        names |= {(activity.table, name.casefold()) for name in activity.names}
    return names
