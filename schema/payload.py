"""The schema of a payload. It returns the transaction, or all faults of the payload in one pass.

voluptuous checks the keys of each object, and `schema.validators` the single values. voluptuous
cannot compare lists by index, so `_with_column_lists` does.
"""

from collections.abc import Callable
from typing import Any

import voluptuous as vol

from schema import validators
from schema.fast_path import check_fast
from schema.faults import InvalidSchema, to_faults
from schema.strict_json import loads
from schema.transaction import Activity, Transaction
from schema.types import ColumnType
from schema.validators import RuleViolation
from schema.values import BadValue, json_type


def check_body(body: bytes) -> Transaction:
    """Return the transaction in a request body. Raises InvalidJSON or InvalidSchema."""
    return check(loads(body))


def check(payload: Any) -> Transaction:
    """Return the transaction in a result of `loads`. Raises InvalidSchema with all faults."""
    return check_fast(payload) or check_with_voluptuous(payload)


def check_with_voluptuous(payload: Any) -> Transaction:
    """Do the same as `check`, without the fast path."""
    try:
        found: dict[str, list[Activity]] = _PAYLOAD(payload)
    except vol.MultipleInvalid as invalid:
        raise InvalidSchema(to_faults(payload, invalid.errors)) from None
    return Transaction(tuple(found["activities"]))


def _with_column_lists(structure: vol.Schema) -> Callable[[Any], dict[str, Any]]:
    """Return a validator for `structure` that also compares the column lists it finds."""

    def validate(mapping: Any) -> dict[str, Any]:
        faults: list[vol.Invalid] = []
        accepted: dict[str, Any] = {}
        try:
            accepted = structure(mapping)
        except vol.MultipleInvalid as invalid:
            faults.extend(invalid.errors)
            if type(mapping) is not dict:
                raise
        types = accepted.get("col_types") or _known_types(mapping.get("col_types"))
        faults += _unequal_lengths(mapping)
        accepted["col_values"] = _canonical_values(mapping.get("col_values"), types, faults)
        if faults:
            raise validators.flattened(faults)
        return accepted

    return validate


def _known_types(types: Any) -> list[ColumnType | None]:
    """Return each known type, so that an unknown one does not hide faults in other values."""
    if type(types) is not list:
        return []
    known: list[ColumnType | None] = []
    for text in types:
        try:
            known.append(validators.column_type(text))
        except RuleViolation:
            known.append(None)
    return known


def _unequal_lengths(mapping: dict[str, Any]) -> list[RuleViolation]:
    """Compare the lengths with the first list that is present and not empty."""
    lists = [
        (key, len(mapping[key]))
        for key in ("col_names", "col_types", "col_values")
        if type(mapping.get(key)) is list and mapping[key]
    ]
    if not lists:
        return []
    (reference, expected), *others = lists
    return [
        RuleViolation(
            "length", f"{reference} has {expected} elements and {key} has {length}", [key]
        )
        for key, length in others
        if length != expected
    ]


def _canonical_values(
    values: Any, types: list[ColumnType | None], faults: list[vol.Invalid]
) -> list[str | None]:
    """Return canonical texts. Adds a fault for each value that does not fit its type."""
    texts: list[str | None] = []
    if type(values) is not list:
        return texts
    for index, (value, ctype) in enumerate(zip(values, types, strict=False)):
        if value is None or ctype is None:
            texts.append(None)
            continue
        try:
            texts.append(ctype.canonicalise(value))
        except BadValue as error:
            faults.append(RuleViolation("value", str(error), ["col_values", index]))
    return texts


_COLUMN_LISTS = {
    "col_names": validators.column_names,
    "col_types": validators.list_of(validators.column_type),
    "col_values": validators.non_empty_list,
}
_HEAD = {"operation": validators.operation, "table": validators.table_name}
_columns = _with_column_lists(vol.Schema(_COLUMN_LISTS, required=True))
_insert = _with_column_lists(vol.Schema({**_HEAD, **_COLUMN_LISTS}, required=True))
_delete = vol.Schema({**_HEAD, "value_to_delete": _columns}, required=True)
# A missing or unknown operation: every list is allowed and none is required.
_required_head: dict[Any, Any] = {vol.Required(key): validator for key, validator in _HEAD.items()}
_unknown_operation = _with_column_lists(
    vol.Schema({**_required_head, **_COLUMN_LISTS, "value_to_delete": _columns})
)


def _activity(value: Any) -> Activity:
    if type(value) is not dict:
        raise RuleViolation("type", f"an activity is an object, not {json_type(value)}")
    operation = value.get("operation")
    if operation == "insert":
        accepted = columns = _insert(value)
    elif operation == "delete":
        accepted = _delete(value)
        columns = accepted["value_to_delete"]
    else:
        # It always raises, as the operation itself is a fault.
        accepted = columns = _unknown_operation(value)
    return Activity(
        accepted["operation"],
        accepted["table"],
        tuple(columns["col_names"]),
        tuple(columns["col_types"]),
        tuple(columns["col_values"]),
    )


_PAYLOAD = vol.Schema({"activities": validators.list_of(_activity)}, required=True)
