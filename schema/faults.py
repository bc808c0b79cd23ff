"""Converts voluptuous errors to faults, in document order."""

import json
from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import voluptuous as vol

from schema.validators import ContractRule, Rule, RuleViolation
from schema.values import WIDE_INTEGERS, exact_double, json_type

MAX_SHOWN = 256
"""Maximum characters of a value in a fault."""

KEY_ORDER = (
    "activities",
    "operation",
    "table",
    "key",
    "value_to_match",
    "col_names",
    "col_types",
    "col_values",
    "value_to_delete",
)
_RANK = {key: rank for rank, key in enumerate(KEY_ORDER)}

Path = Sequence[Hashable]


class Fault(NamedTuple):
    """One broken rule in a payload.

    `pointer` is an RFC 6901 JSON Pointer, `rule` one of `schema.RULES` or `schema.CONTRACT_RULES`.
    `got` is the value there as plain JSON, shortened, or None where the key is missing. An unknown
    key of more than MAX_SHOWN characters is not in the pointer, which then names the object that
    has the key.
    """

    pointer: str
    rule: Rule | ContractRule
    message: str
    got: Any


class InvalidSchema(ValueError):
    """The payload is invalid. `faults` are in document order."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.message}" for fault in faults[:10]))
        self.faults = faults


def to_faults(payload: Any, errors: Iterable[vol.Invalid]) -> list[Fault]:
    """Return the faults in document order.

    A missing key comes after the present key that precedes it in KEY_ORDER, or else first.
    """
    order = _DocumentOrder(payload)
    located = sorted(
        ((*order.locate(error.path), error) for error in errors), key=lambda found: found[0]
    )
    return [
        Fault(pointer(_shown(error.path)), *_rule_and_message(error, value), shorten(value))
        for _, value, error in located
    ]


def _shown(path: Path) -> Path:
    """Leave out a last step that is too long to show: an unknown key, of any length."""
    return path[:-1] if path and len(str(path[-1])) > MAX_SHOWN else path


def pointer(path: Path) -> str:
    """Return the RFC 6901 pointer of a path: `/` before each step, `~` as `~0`, `/` as `~1`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def value_at(payload: Any, pointer: str) -> Any:
    """Return what a fault shows of the value at a pointer. The value must be there."""
    held = payload
    for step in pointer.split("/")[1:]:
        held = held[int(step)] if isinstance(held, list) else held[step]
    return shorten(held)


def shorten(value: Any) -> Any:
    """Return a value as plain JSON of about MAX_SHOWN characters at most."""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, Decimal):
        number = exact_double(value)
        return _cut(str(value)) if number is None else number
    if isinstance(value, int) and value not in WIDE_INTEGERS:
        return _cut(str(value))
    if isinstance(value, dict | list):
        return _short_container(value)
    return value


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


class _TooLong(Exception):
    pass


def _short_container(value: dict[str, Any] | list[Any]) -> Any:
    with suppress(_TooLong):
        plain = _plain(value, [MAX_SHOWN])
        if len(json.dumps(plain, ensure_ascii=False)) <= MAX_SHOWN:
            return plain
    parts = "key" if isinstance(value, dict) else "element"
    return f"{json_type(value)} with {len(value)} {parts}{'' if len(value) == 1 else 's'}"


def _plain(value: Any, left: list[int]) -> Any:
    """Return `value` with plain numbers. Raises _TooLong once `left[0]` characters are used up."""
    left[0] -= len(value) if isinstance(value, str | dict | list) else 1
    if left[0] < 0:
        raise _TooLong
    if isinstance(value, dict):
        return {_plain(key, left): _plain(held, left) for key, held in value.items()}
    if isinstance(value, list):
        return [_plain(held, left) for held in value]
    return shorten(value)


def _rule_and_message(error: vol.Invalid, value: Any) -> tuple[Rule, str]:
    if isinstance(error, RuleViolation):
        return error.rule, error.msg
    if isinstance(error, vol.RequiredFieldInvalid):
        return "required", f"the key {error.path[-1]} is missing"
    if isinstance(error, vol.DictInvalid):
        return "type", f"an object is expected here, not {json_type(value)}"
    # The only other error of voluptuous's mappings: a key that the schema does not have.
    return "unknown_key", f"unknown field `{_cut(str(error.path[-1]))}`: remove it"


class _DocumentOrder:
    """Sorts paths by the position of each step in the document."""

    def __init__(self, payload: Any) -> None:
        self._payload = payload
        self._positions: dict[int, dict[str, int]] = {}

    def locate(self, path: Path) -> tuple[list[tuple[int, int]], Any]:
        """Return the sort key of a path and the value there, None if the last key is missing."""
        position: list[tuple[int, int]] = []
        held = self._payload
        for step in path:
            if isinstance(step, int):
                position.append((step, 0))
                held = held[step]
            else:
                position.append(self._key_position(held, str(step)))
                held = held.get(step)
        return position, held

    def _key_position(self, held: dict[str, Any], key: str) -> tuple[int, int]:
        positions = self._positions.get(id(held))
        if positions is None:
            positions = self._positions[id(held)] = {name: at for at, name in enumerate(held)}
        if key in positions:
            return positions[key], 0
        rank = _RANK[key]
        before = [positions[name] for name in KEY_ORDER[:rank] if name in positions]
        return (before[-1] if before else -1), 1 + rank
