"""Column types of source databases, and the BigQuery type of each."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from schema import temporal, values

MAX_TYPE_LENGTH = 100
"""Maximum characters of a type's name. Our own limit: it bounds the memory of the cache."""

# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#decimal_types
NUMERIC_SCALE, NUMERIC_INTEGER_DIGITS = 9, 29
BIGNUMERIC_SCALE, BIGNUMERIC_INTEGER_DIGITS = 38, 38


class UnknownType(ValueError):
    """The text is not a column type. The message gives the valid form."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type in BigQuery. Two are equal if their BigQuery types are the same.

    `bigquery` is the type in DDL, such as `NUMERIC(10,2)`, and `base` the type without parameters.
    `precision` and `scale` are None except for NUMERIC and BIGNUMERIC. `canonicalise` takes a value
    that is not null. It also enforces the n of VARCHAR(n), which the BigQuery column does not have.
    """

    bigquery: str
    base: str
    precision: int | None
    scale: int | None
    canonicalise: Callable[[Any], str] = field(compare=False, repr=False)

    def takes(self, sent: "ColumnType") -> bool:
        """Whether every value of the sent type is a value of a column of this type."""
        if sent.base != self.base or self.bigquery == self.base:
            return sent.base == self.base
        own, theirs = self.scale or 0, sent.scale or 0
        return theirs <= own and (sent.precision or 0) - theirs <= (self.precision or 0) - own


def canonical(value: Any, ctype: ColumnType) -> str | None:
    """Return a value's canonical text (see `schema.values`), None for null. Raises BadValue."""
    return None if value is None else ctype.canonicalise(value)


@lru_cache(maxsize=4096)
def parse_type(text: str) -> ColumnType:
    """Return the type with this name, in any case and with any spaces. Raises UnknownType."""
    match = _TYPE.fullmatch(text) if len(text) <= MAX_TYPE_LENGTH else None
    if match is None:
        raise UnknownType("a column type looks like INTEGER, VARCHAR(255) or DECIMAL(10,2)")
    name = " ".join(match["name"].upper().split())
    parameters = [int(match[group]) for group in ("first", "second") if match[group]]
    if name in DECIMALS:
        return _decimal_type(name, parameters)
    if name in SIZED:
        return _sized_type(name, parameters)
    simple = SIMPLE.get(name)
    if simple is None:
        raise UnknownType(f"{name} is not a known type: send one of {_KNOWN}")
    if parameters:
        raise UnknownType(f"{name} takes no parameters: send {name}")
    return simple


def length_of(text: str) -> int | None:
    """Return the n of VARCHAR(n) and of the other sized types, None for other types."""
    match = _TYPE.fullmatch(text)
    return int(match["first"]) if match and match["name"].upper() in SIZED else None


def _decimal_type(name: str, parameters: list[int]) -> ColumnType:
    if not parameters:
        return _decimal_column("NUMERIC", "NUMERIC", 38, 9)
    precision, scale = (*parameters, 0)[:2]
    if precision < 1:
        raise UnknownType(f"{name}(p,s) needs a precision p of 1 or more")
    if scale > precision:
        raise UnknownType(f"{name}(p,s) needs a scale s of at most its precision p")
    if scale <= NUMERIC_SCALE and precision - scale <= NUMERIC_INTEGER_DIGITS:
        base = "NUMERIC"
    elif scale <= BIGNUMERIC_SCALE and precision - scale <= BIGNUMERIC_INTEGER_DIGITS:
        base = "BIGNUMERIC"
    else:
        raise UnknownType(
            f"BigQuery holds {name}(p,s) while s is at most {BIGNUMERIC_SCALE} and p - s at most"
            f" {BIGNUMERIC_INTEGER_DIGITS}: send a narrower one, or TEXT"
        )
    return _decimal_column(f"{base}({precision},{scale})", base, precision, scale)


def _decimal_column(bigquery: str, base: str, precision: int, scale: int) -> ColumnType:
    canonicalise = partial(values.to_decimal, precision=precision, scale=scale)
    return ColumnType(bigquery, base, precision, scale, canonicalise)


def _sized_type(name: str, parameters: list[int]) -> ColumnType:
    if len(parameters) != 1 or parameters[0] < 1:
        raise UnknownType(f"{name} needs one length of 1 or more: {name}(255)")
    base, canonicalise = SIZED[name]
    return ColumnType(base, base, None, None, partial(canonicalise, length=parameters[0]))


def _simple(base: str, canonicalise: Callable[[Any], str], *names: str) -> dict[str, ColumnType]:
    return dict.fromkeys(names, ColumnType(base, base, None, None, canonicalise))


_TYPE = re.compile(
    r"\s*(?P<name>[A-Za-z][A-Za-z0-9_]*(?:\s+[A-Za-z][A-Za-z0-9_]*)*)\s*"
    r"(?:\(\s*(?P<first>[0-9]+)\s*(?:,\s*(?P<second>[0-9]+)\s*)?\)\s*)?",
    re.ASCII,
)
DECIMALS = ("DECIMAL", "NUMERIC")
SIZED: dict[str, tuple[str, Callable[..., str]]] = {
    "CHAR": ("STRING", values.to_string),
    "VARCHAR": ("STRING", values.to_string),
    "BINARY": ("BYTES", values.to_bytes),
    "VARBINARY": ("BYTES", values.to_bytes),
}
SIMPLE: dict[str, ColumnType] = {
    **_simple("STRING", partial(values.to_string, length=None), "TEXT", "STRING", "UUID", "ENUM"),
    **_simple("INT64", values.to_int64, "INTEGER", "INT", "BIGINT", "SMALLINT", "TINYINT", "INT64"),
    **_simple(
        "FLOAT64", values.to_float64, "FLOAT", "DOUBLE", "DOUBLE PRECISION", "REAL", "FLOAT64"
    ),
    **_simple("BOOL", values.to_bool, "BOOLEAN", "BOOL"),
    **_simple("DATE", temporal.to_date, "DATE"),
    **_simple("TIME", temporal.to_time, "TIME"),
    **_simple("DATETIME", temporal.to_datetime, "DATETIME"),
    **_simple("TIMESTAMP", temporal.to_timestamp, "TIMESTAMP", "TIMESTAMPTZ"),
    **_simple("JSON", values.to_json, "JSON", "JSONB"),
    **_simple("BYTES", partial(values.to_bytes, length=None), "BYTES", "BLOB", "BYTEA"),
}
_KNOWN = ", ".join(
    [*SIMPLE, *(f"{name}(n)" for name in SIZED), *(f"{name}(p,s)" for name in DECIMALS)]
)
