"""What a cell of the evaluator means: a Python value, equal for equal values of a type."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DECIMAL_DIGITS = 80


def parse_json(text: str) -> Any:
    """Read a JSON text; a number with fraction or exponent differs from every whole number."""
    return json.loads(text, parse_float=lambda number: ("double", float(number)))


def cell_meaning(cell: Any) -> Any:
    """Return the value of a cell (ValueProto); None for NULL."""
    kind = cell.WhichOneof("value")
    return None if kind is None else _OF_CELL[kind](getattr(cell, kind))


def text_meaning(text: str | None, base: str) -> Any:
    """Return the value of a canonical text (`schema.canonical`); None for None."""
    return None if text is None else _OF_TEXT[base](text)


def _decimal(scale: int, content: bytes) -> Decimal:
    with localcontext(prec=_DECIMAL_DIGITS):
        return Decimal(int.from_bytes(content, "little", signed=True)).scaleb(-scale).normalize()


def _decimal_of_text(text: str) -> Decimal:
    with localcontext(prec=_DECIMAL_DIGITS):
        return Decimal(text).normalize()


def _time(bits: int, microsecond: int = 0) -> time:
    return time(bits >> 12 & 31, bits >> 6 & 63, bits & 63, microsecond)


def _datetime(value: Any) -> datetime:
    bits = value.bit_field_datetime_seconds
    day = date(bits >> 26, bits >> 22 & 15, bits >> 17 & 31)
    return datetime.combine(day, _time(bits & 0x1FFFF, value.nanos // 1000))


_OF_CELL: dict[str, Callable[[Any], Any]] = {
    "string_value": str,
    "int64_value": int,
    "double_value": float,
    "bool_value": bool,
    "bytes_value": bytes,
    "numeric_value": lambda content: _decimal(9, content),
    "bignumeric_value": lambda content: _decimal(38, content),
    "date_value": lambda days: date(1970, 1, 1) + timedelta(days),
    "time_value": lambda bits: _time(bits >> 30, (bits & (1 << 30) - 1) // 1000),
    "datetime_value": _datetime,
    "timestamp_value": lambda at: _EPOCH + timedelta(0, at.seconds, at.nanos // 1000),
    "json_value": parse_json,
}
_OF_TEXT: dict[str, Callable[[str], Any]] = {
    "STRING": str,
    "INT64": int,
    "FLOAT64": float,
    "BOOL": lambda text: text == "true",
    "BYTES": base64.b64decode,
    "NUMERIC": _decimal_of_text,
    "BIGNUMERIC": _decimal_of_text,
    "DATE": date.fromisoformat,
    "TIME": time.fromisoformat,
    "DATETIME": datetime.fromisoformat,
    "TIMESTAMP": datetime.fromisoformat,
    "JSON": parse_json,
}
