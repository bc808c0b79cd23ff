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
    "key",  # a key that is not one of the row's columns, or is null
    "value",  # a value that does not fit its column's type
]
RULES: Final[tuple[Rule, ...]] = get_args(Rule)

ContractRule = Literal[
    "contract_table",  # a table without a contract, where UNKNOWN_TABLES=report or refuse
    "contract_column",  # a column that the contract does not have
    "contract_type",  # a type whose values the contract's column does not take
    "contract_required",  # a required column that is missing or null
    "contract_pattern",
    "contract_minimum",
    "contract_maximum",
    "contract_min_length",
    "contract_max_length",
    "contract_enum",
    "contract_transform",  # what `gatekeeper.transform` cannot hide
]
CONTRACT_RULES: Final[tuple[ContractRule, ...]] = get_args(ContractRule)

OPERATIONS = ("insert", "delete", "update", "upsert")
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
    known = ", ".join(f'"{each}"' for each in OPERATIONS)
    raise RuleViolation("operation", f"the operations are {known}")


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


def key_faults(mapping: dict[str, Any]) -> Iterator[RuleViolation]:
    """Compare an upsert's key with its columns, as far as both are lists of names.

    What is wrong with a name itself, or repeated, is a fault of the list already.
    """
    key, names, values = (mapping.get(each) for each in ("key", "col_names", "col_values"))
    if type(key) is not list or type(names) is not list:
        return
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if type(name) is str:
            places.setdefault(name.lower(), place)
    seen = set[str]()
    for index, name in enumerate(key):
        if not _is_column_name(name) or name.lower() in seen:
            continue
        seen.add(name.lower())
        found = places.get(name.lower())
        if found is None:
            message = f"the key `{name}` is not one of col_names: add the column"
            yield RuleViolation("key", message, ["key", index])
        elif type(values) is list and found < len(values) and values[found] is None:
            message = f"`{name}` is in the key: send a value that is not null"
            yield RuleViolation("key", message, ["col_values", found])


def _is_column_name(value: Any) -> bool:
    try:
        column_name(value)
    except RuleViolation:
        return False
    return True


def type_faults(
    matched: Iterable[tuple[Any, ColumnType | None]], given: Iterable[tuple[Any, ColumnType | None]]
) -> Iterator[RuleViolation]:
    """Compare the types of the columns that an update both matches on and sets."""
    types = {
        name.lower(): declared.base for name, declared in matched if type(name) is str and declared
    }
    for index, (name, declared) in enumerate(given):
        if type(name) is not str or declared is None:
            continue
        other = types.get(name.lower(), declared.base)
        if other != declared.base:
            message = (
                f"a column has one type: this one is {declared.base} here"
                f" and {other} in value_to_match"
            )
            yield RuleViolation("column_type", message, ["col_types", index])


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
