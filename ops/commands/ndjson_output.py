"""One JSON object on each line, to a file or to standard output."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from ops.commands.failure import CommandFailed
from ops.runtime.terminal import DataOutput


@contextlib.contextmanager
def ndjson_output(file: Path | None) -> Iterator[Callable[[Any], None]]:
    """Yield what writes an object. The file appears, whole, at the end of the block.

    Raises CommandFailed where the file cannot be written.
    """
    if file is None:
        yield lambda document: DataOutput().write(_line(document))
        return
    part = file.with_name(f"{file.name}.part")
    with _failing(file):
        output = part.open("w", encoding="utf-8")
    try:
        yield functools.partial(_write, output, file)
        with _failing(file):
            output.close()
            part.replace(file)
    finally:
        with contextlib.suppress(OSError):
            output.close()
        part.unlink(missing_ok=True)


def _line(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False) + "\n"


def _write(output: TextIO, file: Path, document: Any) -> None:
    with _failing(file):
        output.write(_line(document))


@contextlib.contextmanager
def _failing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandFailed(f"{file}: {error.strerror}") from None
