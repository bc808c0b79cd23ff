"""The quick way through the rule, for payloads that keep all of it, as nearly all do.

One walk, with the same rules for single values as `schema.payload` (each stands in `schema.rules`
or `schema.values`, once), and nothing beside: no paths, no list of faults. At the first doubt it
gives up, and voluptuous, which takes twice as long, finds every fault or accepts the payload.
"""

from functools import lru_cache
from typing import Any, Final, NamedTuple

import voluptuous as vol

from schema import rules
from schema.activity import Activity, Transaction
from schema.types import BadValue, ColumnType

_REMEMBERED_COLUMNS: Final = 100
_REMEMBERED_SHAPES: Final = 512
"""Sets of columns that are remembered: clients send few. A set takes at most some 40 kB."""
_INSERT_KEYS: Final = 5
_DELETE_KEYS: Final = 3
_COLUMN_KEYS: Final = 3


class _Shape(NamedTuple):
    """Column names and types that keep the rules, and what to do with a value of each."""

    names: tuple[str, ...]
    types: tuple[ColumnType, ...]
    canonicalise: tuple[Any, ...]


def accepted(payload: Any) -> Transaction | None:
    """Read a payload that keeps every rule; None when it breaks one, or may."""
    if type(payload) is not dict or len(payload) != 1:
        return None
    given = payload.get("activities")
    if type(given) is not list or not given:
        return None
    try:
        activities = [_activity(value) for value in given]
    except (vol.Invalid, BadValue, _Doubt, TypeError):  # TypeError: a list where a name should be
        return None
    return Transaction(tuple(activities))


class _Doubt(Exception):
    """The payload may break a rule."""


def _activity(value: Any) -> Activity:
    if type(value) is not dict:
        raise _Doubt
    operation = value.get("operation")
    columns: Any
    if operation == "insert" and len(value) == _INSERT_KEYS:
        columns = value
    elif operation == "delete" and len(value) == _DELETE_KEYS:
        columns = value.get("value_to_delete")
        if type(columns) is not dict or len(columns) != _COLUMN_KEYS:
            raise _Doubt
    else:
        raise _Doubt
    names, types, values = (
        columns.get("col_names"),
        columns.get("col_types"),
        columns.get("col_values"),
    )
    if type(names) is not list or type(types) is not list or type(values) is not list:
        raise _Doubt
    if len(names) <= _REMEMBERED_COLUMNS:
        shape = _remembered(tuple(names), tuple(types))
    else:
        shape = _shape(tuple(names), tuple(types))
    if len(values) != len(names):
        raise _Doubt
    return Activity(
        operation,
        rules.table_name(value.get("table")),
        shape.names,
        shape.types,
        tuple(
            [
                None if each is None else canonicalise(each)
                for each, canonicalise in zip(values, shape.canonicalise, strict=True)
            ]
        ),
    )


def _shape(names: tuple[Any, ...], types: tuple[Any, ...]) -> _Shape:
    if len(names) != len(types):
        raise _Doubt
    columns = tuple(rules.column_type(text) for text in types)
    return _Shape(
        tuple(rules.column_names(list(names))),
        columns,
        tuple(column.canonicalise for column in columns),
    )


_remembered = lru_cache(_REMEMBERED_SHAPES)(_shape)
