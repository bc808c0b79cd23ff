"""Logs: one JSON object a line on standard error, each with a stable `action`.

With LOG_FORMAT=console the same events as text, for a person who watches a terminal.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from ops.runtime.settings import Settings

_encode = json.JSONEncoder(default=str).encode  # json.dumps would make one for each record


class _JsonLines(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
        }
        fields = getattr(record, "fields", None)
        if fields is None:  # a library's record: its text is all it has
            line["message"] = record.getMessage()
        else:
            line |= {"action": record.msg, **fields}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


class _Console(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        fields = getattr(record, "fields", None)
        text = record.getMessage() if fields is None else _pairs(str(record.msg), fields)
        line = f"{time} {record.levelname:7} {self._process} {text}"
        if record.exc_info:
            line += f"\n{self.formatException(record.exc_info)}"
        return line


def _pairs(action: str, fields: dict[str, Any]) -> str:
    """Return `action name=value …`; quoted as in JSON where a value would not stay one word."""
    words = [action]
    for name, value in fields.items():
        text = str(value)
        plain = text.isprintable() and text and not set(text) & set(' ="')
        words.append(f"{name}={text if plain else json.dumps(text, ensure_ascii=False)}")
    return " ".join(words)


_FORMATTERS = {"json": _JsonLines, "console": _Console}


class Logger:
    """Writes events: an action, and fields that must never hold a payload's values or a key."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def _write(self, level: int, action: str, fields: dict[str, Any], *, trace: bool) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, action, extra={"fields": fields}, exc_info=trace)

    def debug(self, action: str, **fields: Any) -> None:
        """Write what only a developer wants to see."""
        self._write(logging.DEBUG, action, fields, trace=False)

    def info(self, action: str, **fields: Any) -> None:
        """Write what happened as it should."""
        self._write(logging.INFO, action, fields, trace=False)

    def warning(self, action: str, **fields: Any) -> None:
        """Write what went wrong and was mended here."""
        self._write(logging.WARNING, action, fields, trace=False)

    def error(self, action: str, **fields: Any) -> None:
        """Write what a person has to look at."""
        self._write(logging.ERROR, action, fields, trace=False)

    def exception(self, action: str, **fields: Any) -> None:
        """Write an error with the traceback of the exception being handled."""
        self._write(logging.ERROR, action, fields, trace=True)


def get(name: str) -> Logger:
    """Return the logger of a module."""
    return Logger(name)


def setup(process: str, settings: Settings) -> None:
    """Send every record of this process, ours and the libraries', to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[settings.log_format](process))
    # Which line of the source logged is shown nowhere, and finding it out takes a seventh of a
    # record's time. https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None  # noqa: SLF001  # the way that page names
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for chatty in ("google", "urllib3", "asyncio", "grpc"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
