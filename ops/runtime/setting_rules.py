"""What the text of a setting must be: parsers that raise `vol.Invalid` with what was expected."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import voluptuous as vol

_ADDRESS = re.compile(r"(?:[^\s/:\[\]]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65_535
KEY_BYTES = 32


def matching(pattern: str, expected: str) -> Callable[[str], str]:
    match: Callable[[str], str] = vol.Match(pattern, msg=expected)
    return match


def one_of(*texts: str) -> Callable[[str], str]:
    expected = f"{', '.join(texts[:-1])} or {texts[-1]}"
    choice: Callable[[str], str] = vol.In(texts, msg=expected)
    return choice


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise vol.Invalid(f"a whole number from {low:,} to {high:,}")
        return int(text)

    return parse


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not low <= (value := _number(text)) <= high:
            raise vol.Invalid(f"a number of seconds from {low:g} to {high:g}")
        return value

    return parse


def share(text: str) -> float:
    if not 0 < (value := _number(text)) <= 1:
        raise vol.Invalid("a number above 0 and up to 1")
    return value


def address(text: str) -> str:
    """`host:port`, with or without a leading `http://` and a trailing `/`; IPv6: `[::1]:port`."""
    bare = text.removeprefix("http://").rstrip("/")
    if not (found := _ADDRESS.fullmatch(bare)) or not 0 < int(found["port"]) <= _MAX_PORT:
        raise vol.Invalid("host:port, for example 127.0.0.1:9091 or [::1]:9091")
    return bare


def switch(text: str) -> bool:
    if text not in {"0", "1"}:
        raise vol.Invalid("0 or 1")
    return text == "1"


def origins(text: str) -> tuple[str, ...]:
    """`https://console.example.com, http://127.0.0.1:3000`, or `*`."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in parts:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s,]+", origin):
            raise vol.Invalid("origins such as https://console.example.com, separated by commas")
    return parts


def key_file(text: str) -> Path:
    path = existing_file(text)
    try:
        size = len(path.read_bytes().strip())
    except OSError as error:
        raise vol.Invalid(f"a file that can be read: {error.strerror}") from None
    if size < KEY_BYTES:
        raise vol.Invalid(f"a file of {KEY_BYTES} bytes or more: openssl rand -hex 32 >{path}")
    return path


def existing_file(text: str) -> Path:
    if not Path(text).is_file():
        raise vol.Invalid("the path of a file that exists")
    return Path(text)
