"""The payload's schema: every fault of a transaction in one pass, or the transaction itself.

voluptuous walks the payload: its mappings say which keys there are, and the leaves are the rules of
`schema.rules`. What voluptuous has no word for, lists that go together by index, is `_related`.
"""

from collections.abc import Callable
from typing import Any

import voluptuous as vol

from schema import rules
from schema.activity import Activity, Transaction
from schema.faults import Fault, InvalidSchema, explain
from schema.quick import accepted
from schema.rules import Broken
from schema.strict_json import InvalidJSON, loads
from schema.types import BadValue, ColumnType
from schema.values import kind

__all__ = [
    "Activity",
    "Fault",
    "InvalidJSON",
    "InvalidSchema",
    "Transaction",
    "check",
    "check_body",
    "check_thoroughly",
]


def check_body(body: bytes) -> Transaction:
    """Read the transaction in a body as sent. Raises InvalidJSON or InvalidSchema."""
    return check(loads(body))


def check(payload: Any) -> Transaction:
    """Read the transaction in what `loads` returned. Raises InvalidSchema with all faults."""
    transaction = accepted(payload)
    return check_thoroughly(payload) if transaction is None else transaction


def check_thoroughly(payload: Any) -> Transaction:
    """Do as `check` does, with every payload going through voluptuous."""
    try:
        found: dict[str, list[Activity]] = _PAYLOAD(payload)
    except vol.MultipleInvalid as broken:
        raise InvalidSchema(explain(payload, broken.errors)) from None
    return Transaction(tuple(found["activities"]))


def _related(structure: vol.Schema) -> Callable[[Any], dict[str, Any]]:
    """Make the rule for a mapping of `structure` whose column lists, if any, go together."""

    def validate(mapping: Any) -> dict[str, Any]:
        faults: list[vol.Invalid] = []
        accepted: dict[str, Any] = {}
        try:
            accepted = structure(mapping)
        except vol.MultipleInvalid as broken:
            faults.extend(broken.errors)
            if type(mapping) is not dict:
                raise
        types = accepted.get("col_types") or _known_types(mapping.get("col_types"))
        faults += _unequal_lengths(mapping)
        accepted["col_values"] = _fitted(mapping.get("col_values"), types, faults)
        if faults:
            raise rules.gathered(faults)
        return accepted

    return validate


def _known_types(types: Any) -> list[ColumnType | None]:
    """As many types as can be read, so that a value is checked also where another type is wrong."""
    if type(types) is not list:
        return []
    known: list[ColumnType | None] = []
    for text in types:
        try:
            known.append(rules.column_type(text))
        except Broken:
            known.append(None)
    return known


def _unequal_lengths(mapping: dict[str, Any]) -> list[Broken]:
    """Each list whose length differs from col_names', or from col_types' where that is no help."""
    lists = [
        (key, len(mapping[key]))
        for key in ("col_names", "col_types", "col_values")
        if type(mapping.get(key)) is list and mapping[key]
    ]
    if not lists:
        return []
    (reference, expected), *others = lists
    return [
        Broken("length", f"{reference} has {expected} elements and {key} has {length}", [key])
        for key, length in others
        if length != expected
    ]


def _fitted(
    values: Any, types: list[ColumnType | None], faults: list[vol.Invalid]
) -> list[str | None]:
    """Canonicalise each value; one that does not fit the type at its index joins `faults`."""
    fitted: list[str | None] = []
    if type(values) is not list:
        return fitted
    for index, (value, ctype) in enumerate(zip(values, types, strict=False)):
        if value is None or ctype is None:
            fitted.append(None)
            continue
        try:
            fitted.append(ctype.canonicalise(value))
        except BadValue as error:
            faults.append(Broken("value", str(error), ["col_values", index]))
    return fitted


_COLUMN_LISTS = {
    "col_names": rules.column_names,
    "col_types": rules.each(rules.column_type),
    "col_values": rules.filled_list,
}
_HEAD = {"operation": rules.operation, "table": rules.table_name}
_columns = _related(vol.Schema(_COLUMN_LISTS, required=True))
_insert = _related(vol.Schema({**_HEAD, **_COLUMN_LISTS}, required=True))
_delete = vol.Schema({**_HEAD, "value_to_delete": _columns}, required=True)
# An operation that is missing or unknown: nobody knows which lists it wants, so none is missed.
_required_head: dict[Any, Any] = {vol.Required(key): rule for key, rule in _HEAD.items()}
_either = _related(vol.Schema({**_required_head, **_COLUMN_LISTS, "value_to_delete": _columns}))


def _activity(value: Any) -> Activity:
    if type(value) is not dict:
        raise Broken("type", f"an activity is an object, not {kind(value)}")
    operation = value.get("operation")
    if operation == "insert":
        accepted = columns = _insert(value)
    elif operation == "delete":
        accepted = _delete(value)
        columns = accepted["value_to_delete"]
    else:
        # Never accepted, only explained: the operation itself is a fault.
        accepted = columns = _either(value)
    return Activity(
        accepted["operation"],
        accepted["table"],
        tuple(columns["col_names"]),
        tuple(columns["col_types"]),
        tuple(columns["col_values"]),
    )


_PAYLOAD = vol.Schema({"activities": rules.each(_activity)}, required=True)
