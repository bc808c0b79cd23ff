"""The fast path of `schema.payload.check`, for valid payloads, which are nearly all.

It walks a payload once, with the same validators for single values as voluptuous, but keeps no
paths and collects no faults. That takes half the time. At the first doubt it returns None, and
voluptuous decides. A property test shows that both accept the same payloads.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import voluptuous as vol

from schema import validators
from schema.transaction import Activity, ColumnValues, Transaction
from schema.types import ColumnType

_CACHED_LENGTH: Final = 100
_CACHED_COLUMNS: Final = 512
"""Column lists kept in the cache: clients use few. One takes at most about 40 kB."""
_KEYS: Final = {"insert": 5, "delete": 3, "update": 6, "upsert": 6}
"""Keys of an activity, by its operation."""
_COLUMN_KEYS: Final = 3


class _Columns(NamedTuple):
    """Valid column names and types, and the function that makes a value of each canonical."""

    names: tuple[str, ...]
    types: tuple[ColumnType, ...]
    canonicalise: tuple[Any, ...]


def check_fast(payload: Any) -> Transaction | None:
    """Return the transaction of a valid payload, None for any other."""
    try:
        given = payload["activities"]
        if len(payload) != 1 or type(given) is not list or not given:
            return None
        return Transaction(tuple([_activity(value) for value in given]))
    except _DOUBTS:
        return None


def check_activity_fast(value: Any) -> Activity | None:
    """Return a valid activity, None for any other value."""
    try:
        return _activity(value)
    except _DOUBTS:
        return None


# A validator, BadValue or a wrong length, a missing key, another JSON type.
_DOUBTS: Final = (vol.Invalid, ValueError, KeyError, TypeError)


def _activity(value: Any) -> Activity:
    operation, table = value["operation"], validators.table_name(value["table"])
    if len(value) != _KEYS[operation] and not _leaves_key_out(value):
        raise ValueError
    match operation:
        case "insert":
            return Activity(operation, table, *_column_values(value))
        case "delete":
            return Activity(operation, table, *_nested(value["value_to_delete"]))
        case "update":
            match, columns = _nested(value["value_to_match"]), _column_values(value)
            _check_types_agree(match, columns)
            return Activity(operation, table, *columns, match)
    columns = _column_values(value)
    key = _key(value["key"], columns) if "key" in value else None
    return Activity(operation, table, *columns, key)


def _leaves_key_out(value: Any) -> bool:
    is_upsert = value["operation"] == "upsert"
    return is_upsert and "key" not in value and len(value) == _KEYS["upsert"] - 1


def _nested(lists: Any) -> ColumnValues:
    if len(lists) != _COLUMN_KEYS:
        raise ValueError
    return _column_values(lists)


def _check_types_agree(match: ColumnValues, columns: ColumnValues) -> None:
    for _ in validators.type_faults(
        zip(match.names, match.types, strict=True), zip(columns.names, columns.types, strict=True)
    ):
        raise ValueError


def _key(key: Any, columns: ColumnValues) -> ColumnValues:
    if type(key) is not list:
        raise TypeError
    validators.column_names(key)
    found = key_values(key, columns)
    if None in found.values:
        raise ValueError
    return found


def key_values(key: Sequence[str], columns: ColumnValues) -> ColumnValues:
    """Return the columns of an upsert's key. Raises KeyError for one that is not there."""
    places = {name.lower(): place for place, name in enumerate(columns.names)}
    chosen = [places[name.lower()] for name in key]
    return ColumnValues(
        tuple([columns.names[place] for place in chosen]),
        tuple([columns.types[place] for place in chosen]),
        tuple([columns.values[place] for place in chosen]),
    )


def _column_values(lists: Any) -> ColumnValues:
    names, types, values = lists["col_names"], lists["col_types"], lists["col_values"]
    if not (type(names) is type(types) is type(values) is list):
        raise TypeError
    read_columns = _cached_columns if len(names) <= _CACHED_LENGTH else _columns
    columns = read_columns(tuple(names), tuple(types))
    texts = [
        None if each is None else canonicalise(each)
        for each, canonicalise in zip(values, columns.canonicalise, strict=True)
    ]
    return ColumnValues(columns.names, columns.types, tuple(texts))


def _columns(names: tuple[Any, ...], types: tuple[Any, ...]) -> _Columns:
    if len(names) != len(types):
        raise ValueError
    columns = tuple([validators.column_type(text) for text in types])
    return _Columns(
        tuple(validators.column_names(list(names))),
        columns,
        tuple([column.canonicalise for column in columns]),
    )


_cached_columns = lru_cache(_CACHED_COLUMNS)(_columns)
