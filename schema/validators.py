"""voluptuous validators for the single values of a payload.

A validator returns what it accepts or raises RuleViolation. `schema.payload` combines them.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, Literal, get_args

import voluptuous as vol

from schema.types import ColumnType, UnknownType, parse_type
from schema.values import json_type

Rule = Literal[
    "type",  # another JSON type than the one expected
    "required",  # a key is missing
    "unknown_key",  # a key that the schema does not have
    "not_empty",  # a list without elements
    "length",  # a column list longer or shorter than the others
    "operation",
    "table_name",
    "column_name",
    "duplicate_column",
    "column_type",
    "value",  # a value that does not fit its column's type
]
RULES: Final[tuple[Rule, ...]] = get_args(Rule)

OPERATIONS = ("insert", "delete")
RESERVED_TABLE_PREFIX = "gatekeeper_"
RESERVED_COLUMN_PREFIXES = (
    # https://cloud.google.com/bigquery/docs/schemas#column_names
    "_table_",
    "_file_",
    "_partition",
    "_row_timestamp",
    "__root__",
    "_colidentifier",
    "_change_sequence_number",
    "_change_type",
    "_change_timestamp",
)

TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,1023}")
COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")


class RuleViolation(vol.Invalid):
    """A value breaks `rule`. voluptuous adds the path."""

    def __init__(self, rule: Rule, message: str, path: list[Hashable] | None = None) -> None:
        super().__init__(message, path)
        self.rule: Rule = rule


def operation(value: Any) -> str:
    if type(value) is str and value in OPERATIONS:
        return value
    raise RuleViolation("operation", 'an operation is "insert" or "delete"')


def table_name(value: Any) -> str:
    if type(value) is not str:
        raise RuleViolation("type", f"a table's name is a string, not {json_type(value)}")
    if not TABLE_NAME.fullmatch(value):
        raise RuleViolation(
            "table_name",
            "a table's name has 1 to 1024 ASCII letters, digits and underscores, a letter first",
        )
    # BigQuery's table names are case-sensitive, but this prefix is reserved in any case.
    if value[:11].lower() == RESERVED_TABLE_PREFIX:
        raise RuleViolation(
            "table_name", f"names that start with {RESERVED_TABLE_PREFIX} are reserved"
        )
    return value


def column_name(value: Any) -> str:
    if type(value) is not str:
        raise RuleViolation("type", f"a column's name is a string, not {json_type(value)}")
    if not COLUMN_NAME.fullmatch(value):
        raise RuleViolation(
            "column_name",
            "a column's name has 1 to 300 ASCII letters, digits and underscores, no digit first",
        )
    if value[0] == "_" and value.lower().startswith(RESERVED_COLUMN_PREFIXES):
        raise RuleViolation("column_name", "BigQuery reserves the prefix of this column's name")
    return value


def column_type(value: Any) -> ColumnType:
    """Return the BigQuery type of a source type's name."""
    if type(value) is not str:
        raise RuleViolation("type", f"a column's type is a string, not {json_type(value)}")
    try:
        return parse_type(value)
    except UnknownType as error:
        raise RuleViolation("column_type", str(error)) from None


def non_empty_list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise RuleViolation("type", f"a list is expected here, not {json_type(value)}")
    if not value:
        raise RuleViolation("not_empty", "the list is empty: send one element or more")
    return value


def list_of[T](validator: Callable[[Any], T], max_faults: int) -> Callable[[Any], list[T]]:
    """Return a validator for a non-empty list that applies `validator` to each element.

    voluptuous's own list validator stops at the first invalid element. This one collects faults
    until there are `max_faults`.
    """

    def validate(value: Any) -> list[T]:
        accepted: list[T] = []
        faults: list[vol.Invalid] = []
        for index, element in enumerate(non_empty_list(value)):
            try:
                accepted.append(validator(element))
            except vol.Invalid as fault:
                fault.prepend([index])
                faults += flattened([fault]).errors
                if len(faults) >= max_faults:
                    break
        if faults:
            raise vol.MultipleInvalid(faults)
        return accepted

    return validate


def flattened(faults: Iterable[vol.Invalid]) -> vol.MultipleInvalid:
    """Return one exception with every single error of the given, nested ones."""
    single: list[vol.Invalid] = []
    for fault in faults:
        single.extend(fault.errors if isinstance(fault, vol.MultipleInvalid) else [fault])
    return vol.MultipleInvalid(single)


def column_names_of(max_faults: int) -> Callable[[Any], list[str]]:
    """Return a validator for unique column names. To BigQuery, `a` and `A` are the same column."""
    name_list = list_of(column_name, max_faults)

    def validate(value: Any) -> list[str]:
        faults: list[vol.Invalid] = []
        try:
            names = name_list(value)
            if len(set(map(str.lower, names))) == len(names):
                return names
        except vol.MultipleInvalid as broken:
            faults.extend(broken.errors)
        if len(faults) < max_faults:  # so every name has been checked
            duplicates = _duplicates(value, {fault.path[0] for fault in faults})
            faults.extend(islice(duplicates, max_faults))
        raise flattened(faults)

    return validate


column_names = column_names_of(max_faults=1)


def _duplicates(names: list[Any], broken: set[Hashable]) -> Iterator[RuleViolation]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if index in broken:
            continue
        earlier = first.setdefault(name.lower(), index)
        if earlier != index:
            message = (
                f"duplicate column: `{name}` repeats the column at index {earlier}"
                " (names are case-insensitive)"
            )
            yield RuleViolation("duplicate_column", message, [index])
