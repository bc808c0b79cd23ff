"""Turn what voluptuous found into faults: pointer, rule, message, the value got; in order."""

import json
from collections.abc import Hashable, Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import voluptuous as vol

from schema.rules import Broken, Rule
from schema.values import WIDE_INTEGERS, exact_double, kind

MAX_SHOWN = 256
"""Characters of a value that a fault repeats."""

KEY_ORDER = (
    "activities",
    "operation",
    "table",
    "col_names",
    "col_types",
    "col_values",
    "value_to_delete",
)
_RANK = {key: rank for rank, key in enumerate(KEY_ORDER)}

Path = Sequence[Hashable]


class Fault(NamedTuple):
    """One broken rule of a payload.

    `pointer` is an RFC 6901 JSON Pointer, `rule` one of `schema.rules.RULES`, `got` the value there
    as JSON can hold it, shortened; None where the key is missing.
    """

    pointer: str
    rule: Rule
    message: str
    got: Any


class InvalidSchema(ValueError):
    """The payload breaks the rule; `faults` holds every fault, in document order."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.message}" for fault in faults[:10]))
        self.faults = faults


def explain(payload: Any, broken: Iterable[vol.Invalid]) -> list[Fault]:
    """List the faults in document order.

    A missing key stands after the present one that precedes it in KEY_ORDER, or first of all.
    """
    order = _Order(payload)
    found = []
    for fault in sorted(broken, key=lambda fault: order.of(fault.path)):
        value = _at(payload, fault.path)
        found.append(Fault(pointer(fault.path), *_said(fault, value), shown(value)))
    return found


def pointer(path: Path) -> str:
    """Write a path as RFC 6901 has it: `/` before each step, `~` as `~0` and `/` as `~1`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def shown(value: Any) -> Any:
    """Shorten a value to plain JSON of about MAX_SHOWN characters at most."""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, Decimal):
        number = exact_double(value)
        return _cut(str(value)) if number is None else number
    if isinstance(value, int) and value not in WIDE_INTEGERS:
        return _cut(str(value))
    if isinstance(value, dict | list):
        return _shown_container(value)
    return value


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def _shown_container(value: dict[str, Any] | list[Any]) -> Any:
    if len(value) <= MAX_SHOWN:
        plain = _plain(value, [MAX_SHOWN])
        if plain is not _TOO_LONG and len(json.dumps(plain, ensure_ascii=False)) <= MAX_SHOWN:
            return plain
    parts = "key" if isinstance(value, dict) else "element"
    return f"{kind(value)} with {len(value)} {parts}{'' if len(value) == 1 else 's'}"


_TOO_LONG = object()


def _plain(value: Any, left: list[int]) -> Any:
    """`value` with plain numbers, or _TOO_LONG as soon as it is clear that it is; `left` counts."""
    left[0] -= len(value) if isinstance(value, str) else 1
    if left[0] < 0:
        return _TOO_LONG
    plain: Any
    if isinstance(value, dict):
        left[0] -= sum(map(len, value))
        plain = {key: _plain(held, left) for key, held in value.items() if left[0] >= 0}
    elif isinstance(value, list):
        plain = [_plain(held, left) for held in value if left[0] >= 0]
    else:
        plain = shown(value)
    return plain if left[0] >= 0 else _TOO_LONG


def _said(fault: vol.Invalid, value: Any) -> tuple[Rule, str]:
    if isinstance(fault, Broken):
        return fault.rule, fault.msg
    if isinstance(fault, vol.RequiredFieldInvalid):
        return "required", f"the key {fault.path[-1]} is missing"
    if isinstance(fault, vol.DictInvalid):
        return "type", f"an object is expected here, not {kind(value)}"
    # What voluptuous's mappings raise besides: a key that the schema does not name.
    return "unknown_key", "the rule does not name this key here: leave it out"


def _at(payload: Any, path: Path) -> Any:
    held = payload
    for step in path:
        if isinstance(held, dict) and step not in held:
            return None
        held = held[step]
    return held


class _Order:
    """Sort keys for paths: where each step stands in the document."""

    def __init__(self, payload: Any) -> None:
        self._payload = payload
        self._places: dict[int, dict[str, int]] = {}

    def of(self, path: Path) -> list[tuple[int, int]]:
        place = []
        held = self._payload
        for step in path:
            if isinstance(step, int):
                place.append((step, 0))
                held = held[step]
            else:
                place.append(self._of_key(held, str(step)))
                held = held.get(step)
        return place

    def _of_key(self, held: dict[str, Any], key: str) -> tuple[int, int]:
        places = self._places.get(id(held))
        if places is None:
            places = self._places[id(held)] = {name: at for at, name in enumerate(held)}
        if key in places:
            return places[key], 0
        rank = _RANK[key]
        before = [places[name] for name in KEY_ORDER[:rank] if name in places]
        return (before[-1] if before else -1), 1 + rank
