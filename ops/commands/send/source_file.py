"""The file to send: also standard input, a pipe or a FIFO, which are copied to a temporary file.

A copy, because the default name of a run is made from the whole content, and because reading from a
slow pipe must not hold up requests.
"""

import os
import shutil
import stat
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from ops.commands.failure import CommandFailed
from ops.runtime.terminal import write_error

STANDARD_INPUT = "-"
_REJECTED = ".rejected.ndjson"


class SourceFile:
    """Opens the file before any work; `read` returns its content."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        """Open a file, or standard input for `-`, until the end of the stack. Raises OSError."""
        standard = str(path) == STANDARD_INPUT
        self._stack = stack
        self._path = path
        self._opened: IO[bytes] = stack.enter_context(
            open(0, "rb", closefd=False) if standard else path.open("rb")  # noqa: SIM115  # the stack closes it
        )
        # Of standard input, a shell may have read the first lines.
        self._on_disk = not standard and is_regular(self._opened)

    def read(self) -> IO[bytes]:
        """Return a file on a disk as it is. Anything else is read to its end first."""
        if self._on_disk:
            return self._opened
        write_error(f"reading {self._path} to its end before the first line is sent")
        copy = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # as above
        shutil.copyfileobj(self._opened, copy)
        copy.seek(0)
        return copy

    def rejected_path(self) -> Path:
        """Return where to write rejected lines by default: next to a file, or here."""
        if not self._on_disk or self._path.is_relative_to("/dev"):
            return Path(f"stdin{_REJECTED}")
        return self._path.with_name(f"{self._path.name}{_REJECTED}")

    def check_is_not(self, rejected: IO[str]) -> None:
        same = os.path.samestat(os.fstat(self._opened.fileno()), os.fstat(rejected.fileno()))
        if same and is_regular(rejected):
            raise CommandFailed("--rejected is the file that is sent: name another one")


def is_regular(opened: IO[bytes] | IO[str]) -> bool:
    return stat.S_ISREG(os.fstat(opened.fileno()).st_mode)
