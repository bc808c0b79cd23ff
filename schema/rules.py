"""The rules for single values of a payload: each returns what it accepts, or raises Broken.

They are voluptuous validators, put together in `schema.payload`. Each rule stands here once.
"""

import re
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, Literal, get_args

import voluptuous as vol

from schema.types import ColumnType, UnknownType, parse_type
from schema.values import kind

Rule = Literal[
    "type",  # another JSON type than the one expected
    "required",  # a key is missing
    "unknown_key",  # a key that the rule does not name
    "not_empty",  # a list without elements
    "length",  # a list whose length differs from its neighbours'
    "operation",
    "table_name",
    "column_name",
    "duplicate_column",
    "column_type",
    "value",  # it does not fit its column's type
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


class Broken(vol.Invalid):
    """One broken rule; voluptuous adds the path to it."""

    def __init__(self, rule: Rule, message: str, path: list[Hashable] | None = None) -> None:
        super().__init__(message, path)
        self.rule: Rule = rule


def operation(value: Any) -> str:
    """Accept one of OPERATIONS."""
    if type(value) is str and value in OPERATIONS:
        return value
    raise Broken("operation", 'an operation is "insert" or "delete"')


def table_name(value: Any) -> str:
    """Accept the name of a table that a client may write to."""
    if type(value) is not str:
        raise Broken("type", f"a table's name is a string, not {kind(value)}")
    if not TABLE_NAME.fullmatch(value):
        raise Broken(
            "table_name",
            "a table's name has 1 to 1024 ASCII letters, digits and underscores, a letter first",
        )
    # Table names have case in BigQuery; our own are kept free in any.
    if value[:11].lower() == RESERVED_TABLE_PREFIX:
        raise Broken("table_name", f"names that start with {RESERVED_TABLE_PREFIX} are reserved")
    return value


def column_name(value: Any) -> str:
    """Accept a name that BigQuery takes for a column."""
    if type(value) is not str:
        raise Broken("type", f"a column's name is a string, not {kind(value)}")
    if not COLUMN_NAME.fullmatch(value):
        raise Broken(
            "column_name",
            "a column's name has 1 to 300 ASCII letters, digits and underscores, no digit first",
        )
    if value[0] == "_" and value.lower().startswith(RESERVED_COLUMN_PREFIXES):
        raise Broken("column_name", "BigQuery reserves the prefix of this column's name")
    return value


def column_type(value: Any) -> ColumnType:
    """Accept a source type's name and return the type that it becomes."""
    if type(value) is not str:
        raise Broken("type", f"a column's type is a string, not {kind(value)}")
    try:
        return parse_type(value)
    except UnknownType as error:
        raise Broken("column_type", str(error)) from None


def filled_list(value: Any) -> list[Any]:
    """Accept a list of one or more elements."""
    if type(value) is not list:
        raise Broken("type", f"a list is expected here, not {kind(value)}")
    if not value:
        raise Broken("not_empty", "this list needs at least one element")
    return value


def each[T](rule: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    """Make the rule for a filled list whose every element keeps `rule`.

    voluptuous's own list validator stops at the first element with a fault inside.
    """

    def validate(value: Any) -> list[T]:
        accepted: list[T] = []
        faults: list[vol.Invalid] = []
        for index, element in enumerate(filled_list(value)):
            try:
                accepted.append(rule(element))
            except vol.Invalid as fault:
                fault.prepend([index])
                faults.append(fault)
        if faults:
            raise gathered(faults)
        return accepted

    return validate


def gathered(faults: Iterable[vol.Invalid]) -> vol.MultipleInvalid:
    """Make one exception that holds each single fault, however the given ones nest."""
    single: list[vol.Invalid] = []
    for fault in faults:
        single.extend(fault.errors if isinstance(fault, vol.MultipleInvalid) else [fault])
    return vol.MultipleInvalid(single)


_names = each(column_name)


def column_names(value: Any) -> list[str]:
    """Accept column names that stand once each, whatever their case: to BigQuery `a` is `A`."""
    faults: list[vol.Invalid] = []
    try:
        names = _names(value)
        if len(set(map(str.lower, names))) == len(names):
            return names
    except vol.MultipleInvalid as broken:
        faults.extend(broken.errors)
    faults.extend(_duplicates(value, {fault.path[0] for fault in faults}))
    raise gathered(faults)


def _duplicates(names: list[Any], broken: set[Hashable]) -> list[Broken]:
    first: dict[str, int] = {}
    found = []
    for index, name in enumerate(names):
        if index in broken:
            continue
        earlier = first.setdefault(name.lower(), index)
        if earlier != index:
            message = f"the column stands at index {earlier} already, compared without case"
            found.append(Broken("duplicate_column", message, [index]))
    return found
