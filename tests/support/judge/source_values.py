"""Values of every source type: how each is written in JSON, and what it means.

The meaning is a Python value that does not come from the product's own reading of the text.
"""

import base64
import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st

from schema.types import SIMPLE, SIZED, parse_type
from tests.support.judge.cells import parse_json


class SourceValue(NamedTuple):
    """A JSON text, and the value that BigQuery must have for it."""

    json: str
    meaning: Any


NULL = SourceValue("null", None)
DECIMALS = ("", "(1)", "(10,2)", "(38,9)", "(29,0)", "(9,9)", "(38,20)", "(38,0)", "(76,38)")


def kinds() -> list[str]:
    """Return every source type's name, with parameters where it takes them."""
    sized = [f"{name}(2000)" for name in SIZED]
    return [
        *SIMPLE,
        *sized,
        *(f"{name}{size}" for name in ("DECIMAL", "NUMERIC") for size in DECIMALS),
    ]


def edges(kind: str) -> list[SourceValue]:
    """Return a type's values at the edges of what it holds, and a fixed choice between them."""
    declared = parse_type(kind)
    if declared.base in {"NUMERIC", "BIGNUMERIC"}:
        assert declared.precision is not None
        return list(_decimals(declared.precision, declared.scale or 0))
    return list(_EDGES[declared.base]())


def _value(value: Any) -> SourceValue:
    return SourceValue(json.dumps(value), value)


def _strings() -> Iterator[SourceValue]:
    texts = [chr(i) for i in (*range(0x21), 0x7F, 0x85, 0xA0, 0xAD, 0x2028, 0xFEFF, 0xFFFD, 0xFFFF)]
    texts += [
        "",
        "x",
        "'",
        '"',
        "`",
        "\\",
        "\\u0041",
        "null",
        "NULL",
        "true",
        "0",
        "1.0",
        "[]",
        "{}",
    ]
    texts += ["@ids", "$[0]", "--", "/*", "é", "e\u0301", "İ", "ß", "😀", "\U0010ffff", "x" * 2000]
    for text in texts:
        yield _value(text)
        yield _value(f"a{text}"[:2000])


def _integers() -> Iterator[SourceValue]:
    for power in range(64):
        for number in {2**power, 2**power - 1, -(2**power), -(2**power) - 1, 10 ** (power % 19)}:
            if -(2**63) <= number < 2**63:
                yield _value(number)


def _floats() -> Iterator[SourceValue]:
    chosen = random.Random(1)
    numbers = [0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1 / 3, 1e22, 1e23]
    numbers += [math.ldexp(1, power) for power in range(-1074, 1024, 60)]
    numbers += [chosen.uniform(-1e6, 1e6) for _ in range(40)]
    numbers += [chosen.random() * 10 ** chosen.randint(-300, 300) for _ in range(80)]
    for number in numbers:
        yield _value(number)
        yield SourceValue(repr(-number), -number or 0.0)
    yield SourceValue("9007199254740992", 2.0**53)
    yield SourceValue(_ROUNDED, 1.0)


_ROUNDED = "1.00000000000000000000000000001"
"""FLOAT64 rounds it; in JSON the rule refuses it."""


def _booleans() -> Iterator[SourceValue]:
    yield from map(_value, (True, False))


def _decimals(precision: int, scale: int) -> Iterator[SourceValue]:
    """Numbers of up to precision - scale digits before the point and scale after it."""
    chosen = random.Random(precision * 100 + scale)
    units = {0, 1, 5, 9, 10, 10**scale, 10 ** (precision - 1), 10**precision - 1}
    units |= {chosen.randrange(10 ** chosen.randint(1, precision)) for _ in range(25)}
    for unit in sorted(units):
        if unit >= 10**precision:
            continue
        for sign in ("", "-"):
            text = sign + _point(unit, scale)
            yield SourceValue(f'"{text}"', Decimal(text) or Decimal(0))
            yield SourceValue(text, Decimal(text) or Decimal(0))
    yield SourceValue('"0e5"', Decimal(0))


def _point(unit: int, scale: int) -> str:
    """Write a whole number of units of 10^-scale."""
    digits = f"{unit:0{scale + 1}}"
    return f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits


_DAYS = [
    *(date(1, 1, 1) + timedelta(days) for days in (0, 1, 58, 59, 364, 365)),
    *(date(year, 2, 28) + timedelta(1) for year in (4, 1000, 1900, 1972, 2000, 2024, 2100, 9996)),
    *(date(1582, 10, 4) + timedelta(days) for days in range(13)),
    *(date(1970, 1, 1) + timedelta(days) for days in (-1, 0, 1)),
    *(date(2018, month, 27) for month in range(1, 13)),
    date(9999, 12, 30),
    date(9999, 12, 31),
]
_TIMES = [
    time(0),
    time(0, 0, 0, 1),
    time(0, 0, 59, 999999),
    time(11, 58, 28, 988414),
    time(12),
    time(23, 59, 59),
    time(23, 59, 59, 999000),
    time(23, 59, 59, 999999),
]
_OFFSETS = [timedelta(minutes=minutes) for minutes in (0, 60, -60, 330, -570, 845, 1439, -1439)]


def _dates() -> Iterator[SourceValue]:
    for day in _DAYS:
        yield SourceValue(f'"{day}"', day)


def _times() -> Iterator[SourceValue]:
    for at in _TIMES:
        yield SourceValue(f'"{at.isoformat("microseconds")}"', at)
        yield SourceValue(f'"{at}"', at)


def _datetimes() -> Iterator[SourceValue]:
    for number, day in enumerate(_DAYS):
        at = datetime.combine(day, _TIMES[number % len(_TIMES)])
        yield SourceValue(f'"{at}"', at)
        yield SourceValue(f'"{at.isoformat("T", "microseconds")}"', at)


def _timestamps() -> Iterator[SourceValue]:
    for number, day in enumerate(_DAYS):
        at = datetime.combine(day, _TIMES[number % len(_TIMES)], UTC)
        yield SourceValue(f'"{at.replace(tzinfo=None)}"', at)
        yield SourceValue(f'"{at.replace(tzinfo=None).isoformat()}Z"', at)
        if 1 < day.year < 9999:
            there = at.astimezone(timezone(_OFFSETS[number % len(_OFFSETS)]))
            yield SourceValue(f'"{there}"', at)


def _documents() -> Iterator[SourceValue]:
    texts = [
        "null",
        "true",
        "false",
        '""',
        "[]",
        "{}",
        "[null]",
        '{"":""}',
        "[[],{},[{}]]",
        "[1,1.0]",
    ]
    texts += [str(number) for number in (0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1)]
    texts += [
        '{"b":1,"a":[2,{"d":null,"c":"é😀"}]}',
        '{"A":1,"a":2}',
        '"\\u0000\\u001f\\\\\\""',
        "[" * 50 + "]" * 50,
    ]
    floats = [value.json for value in _floats() if value.json != _ROUNDED]
    texts += [*floats, *(f"[{number}]" for number in floats)]
    texts += [value.json for value in _strings()]
    for text in dict.fromkeys(texts):
        yield SourceValue(text, parse_json(text))


def _bytes() -> Iterator[SourceValue]:
    contents = [b"", *(bytes([i]) for i in range(0, 256, 5)), bytes(range(256)), b"\xff" * 2000]
    for content in contents:
        yield SourceValue(f'"{base64.b64encode(content).decode()}"', content)


_EDGES = {
    "STRING": _strings,
    "INT64": _integers,
    "FLOAT64": _floats,
    "BOOL": _booleans,
    "DATE": _dates,
    "TIME": _times,
    "DATETIME": _datetimes,
    "TIMESTAMP": _timestamps,
    "JSON": _documents,
    "BYTES": _bytes,
}

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_FLOAT = st.floats(allow_nan=False, allow_infinity=False)
_DOCUMENT = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | _FLOAT | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


def drawn(kind: str) -> st.SearchStrategy[SourceValue]:
    """Draw values of a type."""
    declared = parse_type(kind)
    if declared.base in {"NUMERIC", "BIGNUMERIC"}:
        assert declared.precision is not None
        scale, most = declared.scale or 0, 10**declared.precision - 1
        units = st.integers(0, most).map(lambda unit: _point(unit, scale))
        return (
            st.tuples(st.sampled_from(["", "-"]), units)
            .map("".join)
            .map(lambda text: SourceValue(f'"{text}"', Decimal(text) or Decimal(0)))
        )
    return _DRAWN[declared.base]


_DRAWN: dict[str, st.SearchStrategy[SourceValue]] = {
    "STRING": _TEXT.map(_value),
    "INT64": st.integers(-(2**63), 2**63 - 1).map(_value),
    "FLOAT64": _FLOAT.map(lambda number: SourceValue(json.dumps(number), number or 0.0)),
    "BOOL": st.booleans().map(_value),
    "DATE": st.dates().map(lambda day: SourceValue(f'"{day}"', day)),
    "TIME": st.times().map(lambda at: SourceValue(f'"{at}"', at)),
    "DATETIME": st.datetimes().map(lambda at: SourceValue(f'"{at}"', at)),
    "TIMESTAMP": st.datetimes(
        datetime(1, 1, 3),  # noqa: DTZ001  # hypothesis takes bounds without a zone
        datetime(9999, 12, 29),  # noqa: DTZ001
        timezones=st.sampled_from([timezone(offset) for offset in _OFFSETS]),
    ).map(lambda at: SourceValue(f'"{at}"', at)),
    "JSON": _DOCUMENT.map(json.dumps).map(lambda text: SourceValue(text, parse_json(text))),
    "BYTES": st.binary(max_size=30).map(
        lambda content: SourceValue(f'"{base64.b64encode(content).decode()}"', content)
    ),
}
