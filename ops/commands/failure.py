"""How a command fails."""

import contextlib
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

_MAX_CHARACTERS = 300


class CommandFailed(Exception):
    """The message is one line: the cause, and what to do about it."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class WrongUse(CommandFailed):
    """Arguments that cannot be used. The message names the argument and what is expected."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 2)


def describe_os_error(error: OSError) -> str:
    """Return `file: cause`, without the number of the error."""
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}"


def describe_unexpected(error: Exception, words: Sequence[str]) -> str:
    """Return one line about an error that nothing expects; its traceback goes to a new file.

    The file is in STATE_DIR, or in the temporary directory if that cannot be written.
    """
    named = [word for word in words[:1] if not word.startswith("-")]
    command = " ".join(("gatekeeper", *named))
    text = " ".join(str(error).split())
    name = type(error).__name__
    shown = f"{name}: {text[:_MAX_CHARACTERS]}" if text else name
    details = _keep("".join((f"{list(words)}\n", *traceback.format_exception(error))))
    return f"{command}: unexpected error: {shown}; {details}"


def _keep(text: str) -> str:
    """Write a new file, which only its owner can read; return where it is."""
    reason = ""
    for folder in _folders():
        try:
            descriptor, name = tempfile.mkstemp(".log", "gatekeeper-error-", folder)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            reason = str(error)
        else:
            return f"details in {name}"
    return f"its details could not be written: {reason}"


def _folders() -> Iterator[Path]:
    from ops.runtime.settings import InvalidSettings, Settings

    with contextlib.suppress(InvalidSettings, OSError):
        yield Settings.load().state_dir.absolute()
    yield Path(tempfile.gettempdir())


def discard_output() -> None:
    """Send what is still buffered for a closed pipe nowhere: the interpreter flushes it at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # noqa: TID251  # prints nothing
