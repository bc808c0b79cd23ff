"""The schema of a payload. It returns the transaction, or the faults of the payload in one pass.

voluptuous checks the keys of each object, and `schema.validators` the single values. voluptuous
cannot compare lists by index, so `_with_column_lists` does.

The check stops once it has seen `max_faults`: what an invalid payload costs does not grow with the
number of its faults. No list or object contributes more than that many.
"""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain, islice
from typing import Any, Final

import voluptuous as vol

from schema import validators
from schema.fast_path import check_activity_fast, check_fast, key_values
from schema.faults import InvalidSchema, to_faults
from schema.strict_json import loads
from schema.transaction import Activity, ColumnValues, Transaction
from schema.types import ColumnType
from schema.validators import RuleViolation
from schema.values import BadValue, json_type

MAX_FAULTS: Final = 100
"""The number of faults at which a check stops by default. A few more may be reported."""

type _Check = Callable[[Any], Any]


def check_body(body: bytes, max_faults: int = MAX_FAULTS) -> Transaction:
    """Return the transaction in a request body. Raises InvalidJSON or InvalidSchema."""
    return check(loads(body), max_faults)


def check(payload: Any, max_faults: int = MAX_FAULTS) -> Transaction:
    """Return the transaction in a result of `loads`.

    Raises InvalidSchema with every fault, or with the first `max_faults` and perhaps a few more.
    """
    transaction = check_fast(payload)
    if transaction is None:
        # Valid activities still take the fast path: only those with faults cost more.
        return _transaction(payload, _payload(max_faults, fast=True))
    return transaction


def check_with_voluptuous(payload: Any, max_faults: int = MAX_FAULTS) -> Transaction:
    """Do the same as `check`, without the fast path."""
    return _transaction(payload, _payload(max_faults, fast=False))


def _transaction(payload: Any, validate: _Check) -> Transaction:
    try:
        found: dict[str, list[Activity]] = validate(payload)
    except vol.MultipleInvalid as invalid:
        raise InvalidSchema(to_faults(payload, invalid.errors)) from None
    return Transaction(tuple(found["activities"]))


@cache  # a process uses one or two
def _payload(max_faults: int, *, fast: bool) -> _Check:
    activity = _Activities(max_faults).check
    each = (lambda value: check_activity_fast(value) or activity(value)) if fast else activity
    return _mapping(
        vol.Schema({"activities": validators.list_of(each, max_faults)}, required=True), max_faults
    )


def _mapping(structure: vol.Schema, max_faults: int) -> _Check:
    """Return a validator for `structure` that reports at most `max_faults` unknown keys."""
    known = set(map(str, structure.schema))

    def validate(value: Any) -> Any:
        if type(value) is dict and len(value) > len(known) + max_faults:
            unknown = set(islice((key for key in value if key not in known), max_faults))
            value = {key: held for key, held in value.items() if key in known or key in unknown}
        return structure(value)

    return validate


def _with_column_lists(
    structure: _Check, max_faults: int, *others: Callable[[Any], Iterable[RuleViolation]]
) -> Callable[[Any], dict[str, Any]]:
    """Return a validator for `structure` that also compares the column lists it finds.

    `others` compare more: each gets the object and yields faults.
    """

    def validate(mapping: Any) -> dict[str, Any]:
        faults: list[vol.Invalid] = []
        accepted: dict[str, Any] = {}
        try:
            accepted = structure(mapping)
        except vol.MultipleInvalid as invalid:
            faults.extend(invalid.errors)
            if type(mapping) is not dict:
                raise
        types = accepted.get("col_types") or _known_types(mapping.get("col_types"), max_faults)
        faults += _unequal_lengths(mapping)
        faults += islice(chain.from_iterable(each(mapping) for each in others), max_faults)
        texts, unfit = _canonical_values(mapping.get("col_values"), types, max_faults)
        accepted["col_values"] = texts
        if faults or unfit:
            raise validators.flattened([*faults, *unfit])
        return accepted

    return validate


def _known_types(types: Any, max_faults: int) -> list[ColumnType | None]:
    """Return each known type, so that an unknown one does not hide faults in other values.

    The list ends after `max_faults` unknown ones.
    """
    known: list[ColumnType | None] = []
    unknown = 0
    for text in types if type(types) is list else ():
        try:
            known.append(validators.column_type(text))
        except RuleViolation:
            known.append(None)
            unknown += 1
            if unknown >= max_faults:
                break
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
    values: Any, types: list[ColumnType | None], max_faults: int
) -> tuple[list[str | None], list[RuleViolation]]:
    """Return canonical texts, and a fault for each value that does not fit its type."""
    texts: list[str | None] = []
    faults: list[RuleViolation] = []
    for index, (value, ctype) in enumerate(
        zip(values if type(values) is list else (), types, strict=False)
    ):
        if value is None or ctype is None:
            texts.append(None)
            continue
        try:
            texts.append(ctype.canonicalise(value))
        except BadValue as error:
            faults.append(RuleViolation("value", str(error), ["col_values", index]))
            if len(faults) >= max_faults:
                break
    return texts, faults


def _match_faults(mapping: dict[str, Any]) -> Iterable[RuleViolation]:
    """Compare the types in an update's `value_to_match` with those that it sets."""
    matched = mapping.get("value_to_match")
    return validators.type_faults(_typed(matched), _typed(mapping))


def _typed(mapping: Any) -> Iterable[tuple[Any, ColumnType | None]]:
    """Return names with their types, as far as the lists of an object have both."""
    names = mapping.get("col_names") if type(mapping) is dict else None
    if type(names) is not list:
        return ()
    return zip(names, _known_types(mapping.get("col_types"), len(names)), strict=False)


class _Activities:
    """The validators of an activity, by its operation."""

    def __init__(self, max_faults: int) -> None:
        lists: dict[Any, Any] = {
            "col_names": validators.column_names_of(max_faults),
            "col_types": validators.list_of(validators.column_type, max_faults),
            "col_values": validators.non_empty_list,
        }
        head: dict[Any, Any] = {
            "operation": validators.operation,
            "table": validators.table_name,
        }

        def mapping(keys: dict[Any, Any], *, required: bool = True) -> _Check:
            return _mapping(vol.Schema(keys, required=required), max_faults)

        columns = _with_column_lists(mapping(lists), max_faults)
        self._insert = _with_column_lists(mapping({**head, **lists}), max_faults)
        self._delete = mapping({**head, "value_to_delete": columns})
        key: dict[Any, Any] = {"key": validators.column_names_of(max_faults)}
        # A contract may have the key: schema.contracts.open_key_faults.
        open_key = {vol.Optional(name): validator for name, validator in key.items()}
        self._upsert = _with_column_lists(
            mapping({**head, **open_key, **lists}), max_faults, validators.key_faults
        )
        match: dict[Any, Any] = {"value_to_match": columns}
        self._update = _with_column_lists(
            mapping({**head, **match, **lists}), max_faults, _match_faults
        )
        # A missing or unknown operation: every list is allowed and none is required.
        required_head = {vol.Required(key): validator for key, validator in head.items()}
        every = {**required_head, **key, **match, **lists, "value_to_delete": columns}
        self._unknown_operation = _with_column_lists(
            mapping(every, required=False), max_faults, validators.key_faults, _match_faults
        )

    def check(self, value: Any) -> Activity:
        if type(value) is not dict:
            raise RuleViolation("type", f"an activity is an object, not {json_type(value)}")
        match value.get("operation"):
            case "insert":
                accepted = self._insert(value)
                columns, match = _columns(accepted), None
            case "delete":
                accepted = self._delete(value)
                columns, match = _columns(accepted["value_to_delete"]), None
            case "update":
                accepted = self._update(value)
                columns, match = _columns(accepted), _columns(accepted["value_to_match"])
            case "upsert":
                accepted = self._upsert(value)
                columns = _columns(accepted)
                match = key_values(accepted["key"], columns) if "key" in accepted else None
            case _:
                # It always raises, as the operation itself is a fault.
                accepted = self._unknown_operation(value)
                columns, match = _columns(accepted), None
        return Activity(accepted["operation"], accepted["table"], *columns, match)


def _columns(accepted: dict[str, Any]) -> ColumnValues:
    return ColumnValues(
        tuple(accepted["col_names"]), tuple(accepted["col_types"]), tuple(accepted["col_values"])
    )
