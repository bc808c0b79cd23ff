"""Converts JSON values to the canonical text of their BigQuery type.

BigQuery reads the text with `CAST(text AS type)`, BYTES with FROM_BASE64 and JSON with PARSE_JSON.
Two values that are equal in SQL have the same text. Every function takes a value that is not null
and raises BadValue. `schema.temporal` converts dates and times.
"""

import binascii
import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any

INT64 = range(-(2**63), 2**63)
WIDE_INTEGERS = range(-(2**63), 2**64)
"""Whole numbers that JSON readers keep exactly: INT64 and UINT64."""

_DECIMAL_TEXT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

_JSON_TYPES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    Decimal: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


class BadValue(ValueError):
    """The value does not fit its column type. The message gives a value that fits."""


def json_type(value: Any) -> str:
    """Return a JSON value's type for a message: `a string`, `null`."""
    return _JSON_TYPES.get(type(value), "a Python object")


def to_int64(value: Any) -> str:
    """INT64: `-1`."""
    if type(value) is int:
        if value in INT64:
            return str(value)
        raise BadValue(
            f"INT64 holds {INT64[0]} to {INT64[-1]}: send a number in that range or DECIMAL(38,0)"
        )
    if isinstance(value, Decimal | float):
        raise BadValue("a whole number is written without fraction and exponent: 1, not 1.0 or 1e0")
    raise BadValue(f"INT64 takes a whole number, not {json_type(value)}")


def to_float64(value: Any) -> str:
    """FLOAT64: the shortest text that reads back as the same double; `0.0` for minus zero.

    A literal with a fraction or an exponent is rounded to the nearest double, as usual. A whole
    number must be a double exactly. A number outside the range (1e400, 1e-400) is a BadValue.
    """
    if not isinstance(value, int | Decimal | float) or isinstance(value, bool):
        raise BadValue(f"FLOAT64 takes a number, not {json_type(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadValue("FLOAT64 holds finite numbers up to 1.7976931348623157e+308")
    if isinstance(value, int) and number != value:
        raise BadValue("FLOAT64 would round this whole number: send INTEGER or DECIMAL(38,0)")
    if number == 0:
        if value:
            raise BadValue("FLOAT64 would round this number to zero: its smallest is 5e-324")
        return "0.0"
    return repr(number)


def to_bool(value: Any) -> str:
    """BOOL: `true` or `false`."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise BadValue(f"BOOL takes true or false, not {json_type(value)}")


def to_decimal(value: Any, precision: int, scale: int) -> str:
    """NUMERIC, BIGNUMERIC: plain notation, no trailing zeros: `-1.5`, `100`, `0`."""
    number = _decimal(value)
    if not number:
        return "0"
    # Check the magnitude before writing the digits: 1e999999999 has a billion of them.
    if -scale <= number.adjusted() < precision - scale:
        text = format(number, "f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        if len(text.partition(".")[2]) <= scale:
            return text
    raise BadValue(
        f"the type takes at most {precision - scale} digits before the decimal point and {scale}"
        " after: round the value, or send a wider DECIMAL(p,s)"
    )


def _decimal(value: Any) -> Decimal:
    if type(value) is Decimal:
        return value
    if type(value) is int:
        return Decimal(value)
    text = repr(value) if type(value) is float else value
    if type(text) is not str:
        raise BadValue(f"DECIMAL takes a number or a decimal string, not {json_type(value)}")
    if _DECIMAL_TEXT.fullmatch(text):
        try:
            return Decimal(text)
        except InvalidOperation:
            pass
    raise BadValue('a decimal string looks like "-12.34", with no spaces, units or separators')


def to_string(value: Any, length: int | None) -> str:
    """Return a STRING unchanged. `length` is the maximum in characters."""
    if type(value) is not str:
        raise BadValue(f"STRING takes a string, not {json_type(value)}")
    if length is not None and len(value) > length:
        raise BadValue(f"the type holds {length} characters and this string has {len(value)}")
    return value


def to_bytes(value: Any, length: int | None) -> str:
    """BYTES: standard base64 with padding, encoded again. `length` is the maximum in bytes."""
    if type(value) is not str:
        raise BadValue(f"BYTES takes a base64 string, not {json_type(value)}")
    try:
        content = binascii.a2b_base64(value, strict_mode=True)
    except ValueError as error:
        raise BadValue(f"the value is not standard base64 with padding: {error}") from None
    if length is not None and len(content) > length:
        raise BadValue(f"the type holds {length} bytes and this value has {len(content)}")
    return binascii.b2a_base64(content, newline=False).decode()


def to_json(value: Any) -> str:
    """JSON: compact, keys sorted, every number exactly as BigQuery's PARSE_JSON keeps it.

    By default PARSE_JSON does not round: whole numbers have 64 bits, all others are doubles.
    https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#parse_json
    """
    return _encode(_exact(value))


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def _exact(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _exact(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_exact(held) for held in value]
    if isinstance(value, Decimal):
        number = exact_double(value)
        if number is None:
            raise BadValue(
                "JSON would round a number in the value to a double: send the number as a string"
            )
        return number
    if isinstance(value, int) and value not in WIDE_INTEGERS:
        raise BadValue("a whole number in the value needs more than 64 bits: send it as a string")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadValue("a number in the value is not finite")
    return value


def exact_double(value: Decimal) -> float | None:
    """Return the double whose shortest text is this number, None if there is none."""
    number = float(value)
    if math.isfinite(number) and Decimal(repr(number)) == value:
        return number
    return None
