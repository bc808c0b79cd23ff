"""Logs: one JSON object a line on standard error, each with a stable `action`.

With LOG_FORMAT=gcp some fields have the names that Google's Cloud Logging knows, and with
LOG_FORMAT=console the same events are text, for a terminal. Fields must never hold the values of a
payload, or a key. Within a trace an event has its `trace_id`.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TextIO

import orjson
import structlog
from structlog.stdlib import ProcessorFormatter

from ops.runtime.terminal import printable, printable_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor, WrappedLogger

    from ops.runtime.settings import Settings


class _StandardError:
    """Standard error, with the lines that wait for the end of the loop's turn. For any thread."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that will flush at the end of its turn."""

    def put(self, line: str) -> None:
        """Write a line at the end of the running loop's turn; immediately where no loop runs."""
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
        """Write immediately, after the lines that wait."""
        with self._lock:
            self._waiting.append(text)
        self.flush()

    def flush(self) -> None:
        with self._lock:
            text = "".join(self._waiting)
            self._waiting.clear()
            self._loop = None
            try:
                sys.stderr.write(text)
                sys.stderr.flush()
            except (OSError, ValueError):  # a full disk; standard error closed
                return  # a log that cannot be written must not stop a process


class _ModuleLogger:
    """The end of structlog's chain: writes a module's rendered lines."""

    def __init__(self, stream: _StandardError, name: str = "") -> None:
        self.name = name
        self.debug = self.info = stream.put
        self.warning = self.error = self.critical = stream.write


def get(name: str) -> FilteringBoundLogger:
    """Return the logger of a module."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def setup(process: str, settings: Settings) -> None:
    """Send the events of this process, and the records of its libraries, to standard error."""
    stream = _StandardError()
    atexit.register(stream.flush)
    render = _rendering(settings)
    level = logging.getLevelNamesMapping()[settings.log_level]
    _configure(process, level, stream, render)
    structlog.configure(cache_logger_on_first_use=True)

    def record(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        source: logging.LogRecord = fields["_record"]
        error = {"exc_info": fields["exc_info"]} if "exc_info" in fields else {}
        head = _head(process, source.levelname, source.name)
        return {**head, "message": fields["event"], **error}

    handler = logging.StreamHandler(stream)
    handler.terminator = ""
    handler.setFormatter(ProcessorFormatter(processors=[record, *render]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("google", "urllib3", "asyncio", "grpc", "opentelemetry"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, level))


def _configure(
    process: str, level: int, stream: _StandardError, render: Sequence[Processor]
) -> None:
    def event(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
        head = _head(process, method.upper(), logger.name)
        head["action"] = fields.pop("event")
        return {**head, **fields}

    structlog.configure(
        processors=[event, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *name: _ModuleLogger(stream, *name),
    )


def _head(process: str, level: str, name: str) -> dict[str, object]:
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"time": time, "level": level, "process": process, "logger": name}


def _rendering(settings: Settings) -> Sequence[Processor]:
    if settings.log_format == "console":
        render: Sequence[Processor] = _console(colors=sys.stderr.isatty())
    elif settings.log_format == "gcp":
        render = (partial(_for_cloud_logging, settings.project_id), *_JSON)
    else:
        render = _JSON
    if settings.otel_exporter_otlp_endpoint is None:
        return render
    from ops.runtime.tracing import current_trace  # no command loads it

    def add_trace(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        if trace_id := current_trace():
            fields["trace_id"] = trace_id
        return fields

    return (add_trace, *render)


def _for_cloud_logging(
    project: str, _logger: WrappedLogger, _method: str, fields: EventDict
) -> EventDict:
    """Name what https://cloud.google.com/logging/docs/structured-logging has names for."""
    fields["severity"] = fields.pop("level")
    fields.setdefault("message", fields.get("action"))
    if trace_id := fields.pop("trace_id", ""):
        fields["logging.googleapis.com/trace"] = f"projects/{project}/traces/{trace_id}"
    return fields


def _json_line(_logger: WrappedLogger, _method: str, fields: EventDict) -> str:
    try:
        text = orjson.dumps(fields, default=str).decode()
    except TypeError:  # half a surrogate pair, or a whole number of more than 64 bits
        text = json.dumps(fields, default=str)
    return (text if text.isprintable() else printable_json(text)) + "\n"


_JSON: Sequence[Processor] = (structlog.processors.format_exc_info, _json_line)


def _console(*, colors: bool) -> Sequence[Processor]:
    console = structlog.dev.ConsoleRenderer(
        colors=colors,
        sort_keys=False,
        pad_event_to=0,
        event_key="action",
        timestamp_key="time",
        exception_formatter=_write_traceback,
    )

    def text(logger: WrappedLogger, method: str, fields: EventDict) -> str:
        fields["level"] = fields["level"].lower()
        fields["action"] = printable(fields.get("action") or fields.pop("message", ""))
        for name, each in fields.items():
            if isinstance(each, str):
                fields[name] = printable(each, keep="\n")  # the console quotes line breaks
        return f"{console(logger, method, fields)}\n"

    return (text,)


def _write_traceback(file: TextIO, error: ExcInfo) -> None:
    text = "".join(traceback.format_exception(*error)).rstrip()
    file.write("\n" + printable(text, keep="\n"))


# Before `setup`, as in a command: warnings alone, and nothing on standard output.
_configure("gatekeeper", logging.WARNING, _StandardError(), _console(colors=False))
