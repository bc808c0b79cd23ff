"""Checks activities against one table's contract, compiled for each list of columns.

An activity that keeps the contract costs a look-up and the predicates of its values. The reasons
are looked for only where one does not.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from schema.contracts.suggestion import MAX_SUGGESTIONS, close_to
from schema.contracts.table_contract import ContractColumn, Mode, TableContract
from schema.contracts.value_rules import Predicate, value_rules
from schema.contracts.violation import Violation
from schema.transaction import Activity, ColumnValues
from schema.types import ColumnType
from schema.validators import ContractRule

_MATCH: Final = "match"
"""Columns whose values are compared, not stored."""
_MAX_COLUMN_LISTS: Final = 64
"""Compiled lists kept for a table. Clients use few, but choose them freely."""


class _ColumnList(NamedTuple):
    """What can be known of an activity by its columns alone.

    `is_sound` is false where the list breaks the contract whatever its values are. `not_null` and
    `checks` have the places of values to look at; `columns` the contract's column at each place.
    """

    types: tuple[ColumnType, ...]
    is_sound: bool
    not_null: tuple[int, ...]
    checks: tuple[tuple[int, Predicate], ...]
    columns: tuple[ContractColumn | None, ...]


class ContractCheck:
    """Checks the activities of one table."""

    def __init__(self, contract: TableContract) -> None:
        self._contract = contract
        self.refuses = contract.mode is Mode.FREEZE
        self._required = [column for column in contract.columns if column.required]
        self._lists: dict[tuple[str, tuple[str, ...]], _ColumnList] = {}

    def keeps(self, activity: Activity) -> bool:
        """Whether an activity keeps the contract."""
        columns = self._compiled(activity.operation, activity)
        if not columns.is_sound:
            return False
        if activity.operation == "update" and not self._matches_soundly(activity):
            return False
        values = activity.values
        for place in columns.not_null:
            if values[place] is None:
                return False
        for place, holds in columns.checks:
            value = values[place]
            if value is not None and not holds(value):
                return False
        return True

    def violations(self, at: str, activity: Activity, *, suggest: bool) -> Iterator[Violation]:
        """Yield where an activity at the pointer `at` breaks the contract.

        With `suggest` the messages name similar columns, which takes some milliseconds.
        """
        if activity.operation == "delete":
            yield from self._compared(f"{at}/value_to_delete", _MATCH, activity, suggest=suggest)
            return
        if activity.operation == "update" and activity.match is not None:
            match = activity.match
            yield from self._compared(f"{at}/value_to_match", _MATCH, match, suggest=suggest)
        yield from self._compared(at, activity.operation, activity, suggest=suggest)
        yield from self._missing(at, activity.operation, activity.names)
        yield from self._values(at, activity)

    def _matches_soundly(self, activity: Activity) -> bool:
        return activity.match is None or self._compiled(_MATCH, activity.match).is_sound

    def _compiled(self, use: str, given: Activity | ColumnValues) -> _ColumnList:
        key = use, given.names
        found = self._lists.get(key)
        if found is None or found.types != given.types:
            if len(self._lists) >= _MAX_COLUMN_LISTS:
                self._lists.clear()
            found = self._lists[key] = self._compile(use, given.names, given.types)
        return found

    def _compile(
        self, use: str, names: tuple[str, ...], types: tuple[ColumnType, ...]
    ) -> _ColumnList:
        columns = tuple([self._contract.column(name) for name in names])
        fits = all(
            column is not None and column.type.takes(sent)
            for column, sent in zip(columns, types, strict=True)
        )
        if use in {_MATCH, "delete"}:
            return _ColumnList(types, fits, (), (), columns)
        known = [(place, column) for place, column in enumerate(columns) if column is not None]
        return _ColumnList(
            types,
            fits and not self._lacking(use, names),
            tuple(place for place, column in known if column.required),
            tuple((place, rule.holds) for place, column in known for rule in value_rules(column)),
            columns,
        )

    def _lacking(self, use: str, names: tuple[str, ...]) -> list[ContractColumn]:
        if use == "update":  # the others stay as they are
            return []
        given = {name.casefold() for name in names}
        return [column for column in self._required if column.name.casefold() not in given]

    def _violation(
        self, pointer: str, rule: ContractRule, message: str, column: str, value: str | None = None
    ) -> Violation:
        contract = self._contract
        return Violation(
            pointer, rule, message, contract.table, column, value, contract, self.refuses
        )

    def _compared(
        self, at: str, use: str, given: Activity | ColumnValues, *, suggest: bool
    ) -> Iterator[Violation]:
        """Yield the columns that the contract does not have, and those of another type."""
        contract, columns = self._contract, self._compiled(use, given).columns
        unknown = [place for place, column in enumerate(columns) if column is None]
        for number, place in enumerate(unknown):
            name, close = given.names[place], ""
            if suggest and number < MAX_SUGGESTIONS:
                close = close_to(name, (each.name for each in contract.columns))
            message = f"no column `{name}` in {contract.table} ({contract.title}){close}"
            yield self._violation(f"{at}/col_names/{place}", "contract_column", message, name)
        for place, (column, sent) in enumerate(zip(columns, given.types, strict=True)):
            if column is not None and not column.type.takes(sent):
                message = f"{self._named(column)} is {column.type.bigquery}, not {sent.bigquery}"
                pointer = f"{at}/col_types/{place}"
                yield self._violation(pointer, "contract_type", self._ended(message), column.name)

    def _missing(self, at: str, use: str, names: tuple[str, ...]) -> Iterator[Violation]:
        for column in self._lacking(use, names):
            message = self._ended(f"{self._named(column)} is required and is missing")
            yield self._violation(f"{at}/col_names", "contract_required", message, column.name)

    def _values(self, at: str, activity: Activity) -> Iterator[Violation]:
        columns = self._compiled(activity.operation, activity).columns
        for place, (column, sent) in enumerate(zip(columns, activity.types, strict=True)):
            if column is None or not column.type.takes(sent):
                continue
            value, pointer = activity.values[place], f"{at}/col_values/{place}"
            if value is None and column.required:
                message = self._ended(f"{self._named(column)} is required and is null")
                yield self._violation(pointer, "contract_required", message, column.name)
            for rule in value_rules(column) if value is not None else ():
                if not rule.holds(value or ""):
                    message = self._ended(f"{self._named(column)} must be {rule.expected}")
                    yield self._violation(pointer, rule.rule, message, column.name, value)

    def _named(self, column: ContractColumn) -> str:
        return f"`{column.name}` in {self._contract.table}"

    def _ended(self, message: str) -> str:
        return f"{message} ({self._contract.title})"
