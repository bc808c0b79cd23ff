"""Reads `.env`. A line that is not understood is a fault with its number; none is passed over."""

import codecs
import difflib
import io
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from dotenv.parser import Binding, parse_stream
from dotenv.variables import Variable, parse_variables

_LONGEST_SHOWN = 80
_LINE_BREAK = re.compile(r"\r\n|\n|\r")
# The longest first: the mark of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "it is UTF-32",
    codecs.BOM_UTF32_BE: "it is UTF-32",
    codecs.BOM_UTF16_LE: "it is UTF-16",
    codecs.BOM_UTF16_BE: "it is UTF-16",
    codecs.BOM_UTF8: "it begins with a byte order mark",
}


class DotenvValue(NamedTuple):
    """A setting's text, and the number of its line."""

    text: str
    line: int


class DotenvFile(NamedTuple):
    """`faults` has a text for each line that cannot be used, without the file's name."""

    values: Mapping[str, DotenvValue]
    faults: list[str]


def read_dotenv(path: Path, known: Collection[str], environ: Mapping[str, str]) -> DotenvFile:
    """Read a file; one that does not exist has no values."""
    try:
        return parse_dotenv(path.read_bytes(), known, environ)
    except FileNotFoundError:
        return DotenvFile({}, [])
    except OSError as error:
        return DotenvFile({}, [f"line 1: the file cannot be read: {error.strerror}"])


def parse_dotenv(content: bytes, known: Collection[str], environ: Mapping[str, str]) -> DotenvFile:
    """Parse a file's content. `known` are the names of all settings; others are faults.

    `${NAME}` in a value stands for an earlier value of the file, or a variable of `environ`.
    """
    values: dict[str, DotenvValue] = {}
    faults: list[str] = []
    try:
        text = _decode(content)
    except ValueError as error:
        return DotenvFile({}, [str(error)])
    for binding in parse_stream(io.StringIO(text, newline="")):
        number = _line_number(binding)
        try:
            if (setting := _setting(binding, known)) is None:
                continue
            name, raw = setting
            earlier = {key: value.text for key, value in values.items()}
            values[name] = DotenvValue(_expand(raw, {**environ, **earlier}), number)
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    return DotenvFile(values, faults)


def _decode(content: bytes) -> str:
    for mark, what in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            raise ValueError(f"line 1: {what}: save the file as UTF-8 without a byte order mark")
    try:
        text = content.decode()
        bad = text.encode().index(b"\0") if "\0" in text else None
    except UnicodeDecodeError as error:
        bad = error.start
    if bad is not None:
        line = len(_LINE_BREAK.findall(content[:bad].decode("latin-1"))) + 1
        raise ValueError(f"line {line}: not UTF-8: save the file as UTF-8")
    return text


def _line_number(binding: Binding) -> int:
    """Return the line of a binding; its original text begins with the blank lines before it."""
    original = binding.original.string
    blank = original[: len(original) - len(original.lstrip())]
    return binding.original.line + len(_LINE_BREAK.findall(blank))


def _setting(binding: Binding, known: Collection[str]) -> tuple[str, str] | None:
    """Return name and value; None for a comment. Raises ValueError for anything else."""
    name, value = binding.key, binding.value
    line = binding.original.string.strip()
    if not line or (line.startswith("#") and not binding.error):
        return None
    if name is None or value is None:
        raise ValueError(f"expected NAME=value, each quote closed: {line[:_LONGEST_SHOWN]!r}")
    if name not in known:
        close = difflib.get_close_matches(name.upper(), known, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"unknown setting {name[:_LONGEST_SHOWN]!r}{hint}")
    if not value.isprintable():
        shown = value[:_LONGEST_SHOWN]
        raise ValueError(f"{name}={shown!r}: a line break or a control character; is a quote open?")
    return name, value


def _expand(value: str, variables: Mapping[str, str]) -> str:
    for atom in parse_variables(value):
        if isinstance(atom, Variable) and atom.default is None and atom.name not in variables:
            raise ValueError(f"${{{atom.name}}} is not set")
    return "".join(atom.resolve(variables) for atom in parse_variables(value))
