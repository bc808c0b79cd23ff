"""Read JSON without changing a value: what Python would round, drop or invent is refused.

Python's own scanner does the work. On top of it: UTF-8 only and without a byte order mark, no
duplicate key, no NaN or Infinity, no lone surrogate, no nesting past `MAX_DEPTH`. Numbers with a
fraction or an exponent become `decimal.Decimal`, digit for digit; whole numbers become `int`.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

MAX_DEPTH = 64
"""Levels of lists and objects, the outermost counted. Ours: well under Python's recursion limit."""

MAX_SHOWN = 100
"""Characters of a key that a message repeats."""

_BOM = b"\xef\xbb\xbf"

# Both are run only over text that has already been parsed, so every quote and escape is in place.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"')
_NO_BRACKET = re.compile(r"[^\[\]{}]+")
_SQUARE = str.maketrans("{}", "[]")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


class InvalidJSON(ValueError):
    """The body is not JSON as RFC 8259 and this module have it; the text says where and why."""


def loads(body: bytes) -> Any:
    """Read the value that `body` holds: dict, list, str, int, Decimal, bool or None.

    Raises InvalidJSON, and nothing else, for any bytes at all.
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
            "a number's exponent is out of range: send the number as a string, or without it"
        ) from None
    except ValueError:
        # The scanner's only other ValueError: int() refuses more digits than Python's limit.
        raise InvalidJSON(
            "a whole number has too many digits to be read: send it as a string"
        ) from None
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


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidJSON(
                    f"the key {_shown(key)} stands twice in one object: send each key once"
                )
            seen.add(key)
    return found


def _shown(key: str) -> str:
    # ASCII, so that a lone surrogate in the key cannot travel on in the message.
    return json.dumps(key if len(key) <= MAX_SHOWN else key[:MAX_SHOWN] + "…")


def _refused_constant(name: str) -> NoReturn:
    raise InvalidJSON(f"{name} is not a JSON value: send a finite number or null")


def _check_depth(text: str) -> None:
    """Strip the innermost brackets, a level a round; the count alone settles nearly every body."""
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
    # Raw UTF-8 holds no surrogate; only an escape can bring one in.
    if "\\ud" not in text and "\\uD" not in text:
        return
    for escape in _ESCAPE.finditer(text):
        if escape["lone"]:
            raise InvalidJSON(
                f"{escape.group()} at character {escape.start()} is half of a surrogate pair: "
                "send both halves, or the character itself"
            )


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_refused_constant
)
