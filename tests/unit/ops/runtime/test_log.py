import json
import logging
from collections.abc import Iterator

import pytest

from ops.runtime import log
from ops.runtime.settings import Settings


@pytest.fixture(autouse=True)
def _restored_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
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


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("worker_03", Settings.parse({"LOG_LEVEL": "WARNING"}))

    log.get("a.module").info("chatter")

    assert capsys.readouterr().err == ""


def test_the_console_format_is_one_line_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("worker_03", Settings.parse({"LOG_FORMAT": "console"}))

    log.get("a.module").warning("transaction_rejected", id="ab12", error='no "table"\nthere', n=3)

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        'WARNING worker_03 transaction_rejected id=ab12 error="no \\"table\\"\\nthere" n=3'
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
    assert first.endswith("ERROR   worker_03 failed id=ab12")
    assert trace[0].startswith("Traceback")
    assert trace[-1].startswith("ValueError")
