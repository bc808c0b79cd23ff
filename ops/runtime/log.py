"""Logs: one JSON object a line on standard error, each with a stable `action`.

With LOG_FORMAT=console the same events as text, for a person who watches a terminal.

Our own events, a line for every request among them, go from their fields to a line with no
`logging.LogRecord` on the way, which costs three times as much as the line. What an event loop's
turn says at INFO or below is written at its end, in one piece.
"""

import asyncio
import atexit
import json
import logging
import sys
import threading
import time
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NamedTuple

from ops.runtime.settings import Settings

_encode = json.JSONEncoder(default=str).encode  # json.dumps would make one for each record
_quote = json.encoder.encode_basestring_ascii


def _json(value: Any) -> str:
    """Do as `_encode` does, without its machinery for what most fields are."""
    kind = type(value)
    if kind is str:
        return _quote(value)
    if kind is int or (kind is float and isfinite(value)):
        return repr(value)
    return "null" if value is None else _encode(value)


class _Clock:
    """Tells the time as lines have it; all but the milliseconds is made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            moment = datetime.fromtimestamp(second, UTC).replace(tzinfo=None)
            self._text = moment.isoformat()
            self._second = second
        return f"{self._text}.{int((now - second) * 1000):03}+00:00"


class _Stream:
    """Standard error, with the lines that wait for the end of the loop's turn. For any thread."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that will flush at the end of its turn."""

    def put(self, line: str) -> None:
        """Write a line at the end of the running loop's turn; at once where no loop runs."""
        with self._lock:
            self._waiting.append(line)
            if self._loop is not None and not self._loop.is_closed():
                return
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            self._loop.call_soon(self.flush)

    def write(self, text: str) -> None:
        """Write at once, behind what waits."""
        with self._lock:
            self._waiting.append(text)
        self.flush()

    def flush(self) -> None:
        """Write what waits. A log that cannot be written must stop nobody."""
        with self._lock:
            text = "".join(self._waiting)
            self._waiting.clear()
            self._loop = None
            try:
                sys.stderr.write(text)
                sys.stderr.flush()
            except (OSError, ValueError):  # a full disk; standard error closed
                return


class _Events:
    """Writes our own events as JSON lines."""

    def __init__(self, process: str, stream: _Stream) -> None:
        self._process = process
        self._stream = stream
        self._clock = _Clock()
        self._heads: dict[tuple[int, str, str], str] = {}

    def write(self, level: int, logger: str, action: str, fields: dict[str, Any]) -> None:
        """Write an event; a warning, and what is worse, at once."""
        line = self.line(level, logger, action, fields)
        if level > logging.INFO:
            self._stream.write(line)
        else:
            self._stream.put(line)

    def line(self, level: int, logger: str, action: str, fields: dict[str, Any]) -> str:
        """Return the line, as `_JsonLines` would."""
        head = self._heads.get((level, logger, action))
        if head is None:  # actions are few: they stand in the source
            named = {
                "level": logging.getLevelName(level),
                "process": self._process,
                "logger": logger,
                "action": action,
            }
            head = self._heads[level, logger, action] = _encode(named)[1:-1]
        rest = "".join([f', "{name}": {_json(value)}' for name, value in fields.items()])
        return f'{{"time": "{self._clock(time.time())}", {head}{rest}}}\n'


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


class _Direct(NamedTuple):
    """The short way to a line, as long as `handler` is all that the root logger has."""

    handler: logging.Handler
    events: _Events


_direct: _Direct | None = None


class Logger:
    """Writes events: an action, and fields that must never hold a payload's values or a key."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def _write(self, level: int, action: str, fields: dict[str, Any], *, trace: bool) -> None:
        logger = self._logger
        if not logger.isEnabledFor(level):
            return
        if _direct is not None and not trace and logging.root.handlers == [_direct.handler]:
            _direct.events.write(level, logger.name, action, fields)
        else:
            logger.log(level, action, extra={"fields": fields}, exc_info=trace)

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
    global _direct  # noqa: PLW0603  # as the root logger is
    stream = _Stream()
    atexit.register(stream.flush)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_FORMATTERS[settings.log_format](process))
    json_lines = settings.log_format == "json"
    _direct = _Direct(handler, _Events(process, stream)) if json_lines else None
    # Which line of the source logged is shown nowhere, and finding it out takes a seventh of a
    # record's time. https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None  # noqa: SLF001  # the way that page names
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for chatty in ("google", "urllib3", "asyncio", "grpc"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
