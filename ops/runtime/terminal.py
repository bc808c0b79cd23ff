"""The door to standard output and standard error, but for logs and tables.

Texts come from clients, logs, other programs and files. On a terminal a control character in them
could do anything: so it is printed as an escape. Tables are printed by `ops.commands.console`.
"""

import json
import re
import sys
from typing import Any

_UNPRINTABLE_IN_JSON = re.compile(r"[^\x20-\x7e\n]")


def printable(text: str, keep: str = "") -> str:
    r"""Escape the characters that are not printable, but for those in `keep`, such as `\n`."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else ascii(each)[1:-1] for each in text
    )


def printable_json(text: str) -> str:
    r"""Escape within JSON, as `\u009b`: its value stays the same."""
    return _UNPRINTABLE_IN_JSON.sub(
        lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text
    )


def write_line(text: str, keep: str = "") -> None:
    """Print one line immediately, also into a pipe."""
    sys.stdout.write(printable(text, keep) + "\n")
    sys.stdout.flush()


def write_error(text: str, keep: str = "") -> None:
    """Print one line on standard error."""
    sys.stderr.write(printable(text, keep) + "\n")
    sys.stderr.flush()


def write_json(document: Any, indent: int | None = None) -> None:
    """Print a document in JSON; without `indent`, on one line."""
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    sys.stdout.write(printable_json(text) + "\n")


class DataOutput:
    """Standard output for data: exact in a file or pipe, escaped on a terminal."""

    def write(self, text: str) -> None:
        sys.stdout.write(printable(text, "\r\n") if sys.stdout.isatty() else text)
