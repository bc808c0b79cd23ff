import json
from pathlib import Path

import pytest

from ops.bench.sender import Report, Sender
from ops.rig import RunFailed

COUNTED = {"seconds": 2.0, "sent": 9, "answered": 8, "errors": {}, "left": None}
COUNTED |= {"cpu_seconds": 0.1, "p50": 0.01, "p99": 0.02, "p90": 0.02, "p100": 0.02, "open": 1}


class Telling(Sender):
    """A generator whose report is what the test says."""

    def __init__(self, folder: Path, **counted: object) -> None:
        super().__init__(folder, "127.0.0.1:1", 1)
        self.log.touch()
        self.line = json.dumps({**COUNTED, **counted}).encode()

    def _counted(self) -> Report:
        return self._checked(self.line)


def test_a_report_tells_the_rate(tmp_path: Path) -> None:
    assert Telling(tmp_path).report().rate == 4.0


def test_a_run_with_an_answer_that_is_no_200_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="503"):
        Telling(tmp_path, errors={"503": 2}).report()


def test_a_run_without_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="no answer"):
        Telling(tmp_path, answered=0).report()


def test_a_generator_that_has_ended_is_told(tmp_path: Path) -> None:
    sender = Telling(tmp_path)
    sender.line = b""
    with pytest.raises(RunFailed, match="ended"):
        sender.report()
