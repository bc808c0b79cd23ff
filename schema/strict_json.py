"""Reads JSON without changing any value.

Python's json module parses. Its lenient cases are errors here: text that is not UTF-8, a byte order
mark, duplicate keys, NaN and Infinity, lone surrogates, nesting deeper than `MAX_DEPTH`. Numbers
with a fraction or an exponent become `decimal.Decimal`, digit for digit, all others `int`.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

MAX_DEPTH = 64
"""Maximum levels of lists and objects. Our own limit, well below Python's recursion limit."""

MAX_SHOWN = 100
"""Maximum characters of a key in a message."""

_BOM = b"\xef\xbb\xbf"

# These run only on parsed text, so every quote and escape is valid.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"')
_NO_BRACKET = re.compile(r"[^\[\]{}]+")
_SQUARE = str.maketrans("{}", "[]")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


class InvalidJSON(ValueError):
    """The body is not JSON by RFC 8259 and this module. The message gives place and reason."""


def loads(body: bytes) -> Any:
    """Return the value in `body`: dict, list, str, int, Decimal, bool or None.

    Raises only InvalidJSON, for any bytes.
    """
    text = _decoded(body)
    try:
        value = _DECODER.decode(text)
    except InvalidJSON:
        raise
    except json.JSONDecodeError as error:
        raise InvalidJSON(
            f"{error.msg} at line {error.lineno}, column {error.colno}: send one JSON value"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    except InvalidOperation:
        raise InvalidJSON(
            "a number's exponent is out of range: send the number as a string or without it"
        ) from None
    except ValueError:
        # The parser's only other ValueError: int() has a limit of digits.
        raise InvalidJSON("a whole number has too many digits: send it as a string") from None
    _check_depth(text)
    _check_surrogates(text)
    return value


def _decoded(body: bytes) -> str:
    if not body:
        raise InvalidJSON("the body is empty: send one JSON value")
    if body.startswith(_BOM):
        raise InvalidJSON("the body starts with a byte order mark: send UTF-8 without one")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidJSON(
            f"the body is not UTF-8 at byte {error.start}: {error.reason}; send UTF-8"
        ) from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidJSON(
                    f"the key {_shortened(key)} is twice in one object: send each key once"
                )
            seen.add(key)
    return found


def _shortened(key: str) -> str:
    # ASCII, so that the message cannot contain a lone surrogate.
    return json.dumps(key if len(key) <= MAX_SHOWN else key[:MAX_SHOWN] + "…")


def _reject_constant(name: str) -> NoReturn:
    raise InvalidJSON(f"{name} is not a JSON value: send a finite number or null")


def _check_depth(text: str) -> None:
    """Remove the innermost brackets, one level each round. Most bodies have too few to need it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    brackets = _NO_BRACKET.sub("", _STRING.sub("", text)).translate(_SQUARE)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace("[]", "")
        if not brackets:
            return
    raise _too_deep()


def _too_deep() -> InvalidJSON:
    return InvalidJSON(f"the body nests deeper than {MAX_DEPTH} levels: send a flatter value")


def _check_surrogates(text: str) -> None:
    # Valid UTF-8 has no surrogates: only an escape can produce one.
    if "\\ud" not in text and "\\uD" not in text:
        return
    for escape in _ESCAPE.finditer(text):
        if escape["lone"]:
            raise InvalidJSON(
                f"{escape.group()} at character {escape.start()} is half of a surrogate pair: "
                "send both halves, or the character itself"
            )


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_float=Decimal, parse_constant=_reject_constant
)
