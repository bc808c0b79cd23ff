"""What sample transactions show of tables: columns, types, values, what changes match on."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from schema import Activity, Transaction

MAX_DISTINCT: Final = 100_000
"""Distinct values of a column that are kept. What is unique among them counts as unique."""


class ColumnSamples:
    """One column, as `name` is written first. `declared` counts the source types sent for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.declared: Counter[str] = Counter()
        self.filled = 0
        """Rows that have a value here."""
        self.is_set_to_null = False
        self.is_repeated = False
        """Whether two inserts have the same value."""
        self.distinct: set[str] = set()
        self._inserted: set[str] = set()

    def declare(self, source_type: str) -> None:
        self.declared[" ".join(source_type.split())] += 1

    def add(self, text: str | None, operation: str) -> None:
        """Add a value that an insert, an update or an upsert writes; None is null."""
        if text is None:
            self.is_set_to_null = True
            return
        self.filled += operation != "update"
        if len(self.distinct) < MAX_DISTINCT:
            self.distinct.add(text)
        if operation == "insert":
            self.is_repeated = self.is_repeated or text in self._inserted
            if not self.is_repeated and len(self._inserted) < MAX_DISTINCT:
                self._inserted.add(text)


class TableSamples:
    """One table. `columns` are by their names without case, in the order of first use.

    `matched` counts the column names, sorted, that updates, upserts and deletes match on; those
    with a null among the values are left out. `rows` are inserts and upserts.
    """

    def __init__(self) -> None:
        self.columns: dict[str, ColumnSamples] = {}
        self.matched: Counter[tuple[str, ...]] = Counter()
        self.inserts = 0
        self.rows = 0

    def add(self, activity: Activity, given: dict[str, Any]) -> None:
        """Add an activity, with the object that it was read from."""
        match given["operation"]:
            case "delete":
                self._match(given["value_to_delete"])
                return
            case "update":
                self._match(given["value_to_match"])
            case "upsert" if "key" in given:  # otherwise a contract has the key
                self._count_match(given["key"])
        operation = activity.operation
        self.inserts += operation == "insert"
        self.rows += operation != "update"
        self._declare(given)
        for name, text in zip(activity.names, activity.values, strict=True):
            self.columns[name.casefold()].add(text, operation)

    def _match(self, lists: dict[str, Any]) -> None:
        self._declare(lists)
        if None not in lists["col_values"]:
            self._count_match(lists["col_names"])

    def _count_match(self, names: Iterable[str]) -> None:
        self.matched[tuple(sorted(name.casefold() for name in names))] += 1

    def _declare(self, lists: dict[str, Any]) -> None:
        for name, source_type in zip(lists["col_names"], lists["col_types"], strict=True):
            self.columns.setdefault(name.casefold(), ColumnSamples(name)).declare(source_type)


def add_transaction(
    tables: dict[str, TableSamples], payload: dict[str, Any], transaction: Transaction
) -> None:
    """Add a payload, with what the schema rule has made of it, to the tables that it names."""
    for given, activity in zip(payload["activities"], transaction.activities, strict=True):
        tables.setdefault(activity.table, TableSamples()).add(activity, given)
