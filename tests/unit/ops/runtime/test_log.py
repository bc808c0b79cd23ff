import asyncio
import errno
import io
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
import structlog
from opentelemetry import trace

from ops.runtime import log
from ops.runtime.settings import Settings


@pytest.fixture(autouse=True)
def _restored_loggers() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, structure = root.handlers[:], root.level, structlog.get_config()
    yield
    structlog.configure(**structure)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_an_event_is_one_json_line_with_its_action_process_and_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("worker_03", Settings.parse({}))

    log.get("a.module").info("batch_settled", transactions=3)

    line = json.loads(capsys.readouterr().err)
    assert line["action"] == "batch_settled"
    assert line["process"] == "worker_03"
    assert line["transactions"] == 3
    assert line["level"] == "INFO"


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("worker_03", Settings.parse({}))

    try:
        int("no\nnumber")
    except ValueError:
        log.get("a.module").exception("failed")

    (text,) = capsys.readouterr().err.splitlines()
    assert "ValueError" in json.loads(text)["exception"]


def test_what_a_library_logs_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("worker_03", Settings.parse({}))

    logging.getLogger("some.library").warning("watch %s", "out")

    assert json.loads(capsys.readouterr().err)["message"] == "watch out"


def test_before_the_set_up_only_warnings_go_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.get("a.module").info("chatter")
    log.get("a.module").warning("metrics_push_failed", error="no route")

    written = capsys.readouterr()
    assert written.out == ""
    assert "metrics_push_failed [a.module] process=gatekeeper error='no route'" in written.err
    assert "chatter" not in written.err


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("worker_03", Settings.parse({"LOG_LEVEL": "WARNING"}))

    log.get("a.module").info("chatter")

    assert capsys.readouterr().err == ""


def test_the_console_format_is_one_line_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("worker_03", Settings.parse({"LOG_FORMAT": "console"}))

    log.get("a.module").warning("transaction_rejected", id="ab12", error='no "table"\nthere', n=3)

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "[warning  ] transaction_rejected [a.module] process=worker_03 id=ab12 "
        "error='no \"table\"\\nthere' n=3"
    )


def test_the_console_format_shows_what_a_library_logs(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("worker_03", Settings.parse({"LOG_FORMAT": "console"}))

    logging.getLogger("some.library").warning("watch %s", "out")

    assert capsys.readouterr().err.endswith(
        "[warning  ] watch out [some.library] process=worker_03\n"
    )


def test_the_console_format_shows_a_traceback_under_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("worker_03", Settings.parse({"LOG_FORMAT": "console"}))

    try:
        int("x")
    except ValueError:
        log.get("a.module").exception("failed", id="ab12")

    first, *trace = capsys.readouterr().err.splitlines()
    assert first.endswith("[error    ] failed [a.module] process=worker_03 id=ab12")
    assert trace[0].startswith("Traceback")
    assert trace[-1].startswith("ValueError")


async def test_the_events_of_a_turn_of_the_loop_are_written_at_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("worker_03", Settings.parse({}))

    log.get("a.module").info("first")
    log.get("a.module").info("second")
    assert capsys.readouterr().err == ""
    await asyncio.sleep(0)

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["action"] for line in lines] == ["first", "second"]


async def test_a_warning_is_written_immediately_after_the_events_before_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("worker_03", Settings.parse({}))

    log.get("a.module").info("first")
    log.get("a.module").warning("second")
    logging.getLogger("some.library").warning("third")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("action") or line["message"] for line in lines] == ["first", "second", "third"]


def test_threads_lose_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("worker_03", Settings.parse({}))

    def say(number: int) -> None:
        for _ in range(500):
            log.get("a.module").info("said", by=number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(say, range(4)))

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert Counter(line["by"] for line in lines) == dict.fromkeys(range(4), 500)


def test_every_kind_of_field_is_written_as_json_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("worker_03", Settings.parse({}))
    fields = {"text": 'a "b"\n\x00é\ud800', "whole": 3, "half": 0.5, "none": None, "yes": True}

    log.get("a.module").info("many", **fields, held=[1, {"a": None}], path=Path("/x"))

    line = json.loads(capsys.readouterr().err)
    assert {name: line[name] for name in fields} == fields
    assert (line["held"], line["path"]) == ([1, {"a": None}], "/x")
    assert datetime.fromisoformat(line["time"]).tzinfo is not None


def test_a_number_that_json_has_no_room_for_is_written_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("worker_03", Settings.parse({}))

    log.get("a.module").info("large", number=2**70)

    assert json.loads(capsys.readouterr().err)["number"] == 2**70


def test_a_closed_standard_error_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    log.setup("worker_03", Settings.parse({}))
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)

    log.get("a.module").warning("lost")


def test_a_log_that_cannot_be_written_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup("worker_03", Settings.parse({}))

    def full(_: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sys.stderr, "write", full)
        log.get("a.module").info("lost")
    log.get("a.module").info("written")

    assert json.loads(capsys.readouterr().err)["action"] == "written"


def test_for_cloud_logging_the_fields_have_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    gcp = {"LOG_FORMAT": "gcp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    log.setup("worker_03", Settings.parse(gcp))
    context = trace.SpanContext(0xABC, 1, is_remote=True, trace_flags=trace.TraceFlags(1))

    with trace.use_span(trace.NonRecordingSpan(context)):
        log.get("a.module").warning("batch_held", lane=3)
    log.get("a.module").info("request", message="Valid Schema")
    logging.getLogger("library").error("broken")

    held, request, library = map(json.loads, capsys.readouterr().err.splitlines())
    assert (held["severity"], held["message"], held["lane"]) == ("WARNING", "batch_held", 3)
    assert held["logging.googleapis.com/trace"] == f"projects/gatekeeper-local/traces/{0xABC:032x}"
    assert (request["severity"], request["message"]) == ("INFO", "Valid Schema")
    assert (library["severity"], library["message"]) == ("ERROR", "broken")
    assert all("level" not in line and "trace_id" not in line for line in (held, request, library))


@pytest.mark.parametrize("form", ["json", "gcp", "console"])
def test_no_line_has_control_characters(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b[2Jb\x9b\x7f"
    log.setup("worker_03", Settings.parse({"LOG_FORMAT": form}))

    log.get("a.module").warning(hostile, id=hostile, several=[hostile])
    logging.getLogger("library").warning(hostile)
    log.get("a.module").error("failed", exc_info=ValueError(hostile))

    assert capsys.readouterr().err.replace("\n", "").isprintable()
