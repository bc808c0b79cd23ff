import json
from pathlib import Path

import pytest

from ops.bench.load_generator import LoadGenerator, LoadReport
from ops.rig import RunFailed

COUNTED = {"seconds": 2.0, "sent": 9, "answered": 8, "errors": {}}
COUNTED |= {"cpu_seconds": 0.1, "p50": 0.01, "p99": 0.02}


class FixedGenerator(LoadGenerator):
    def __init__(self, folder: Path, **counted: object) -> None:
        super().__init__(folder, "127.0.0.1:1", 1)
        self.log.touch()
        self.line = json.dumps({**COUNTED, **counted}).encode()

    def _counted(self) -> LoadReport:
        return self._checked(self.line)


def test_a_report_has_the_rate(tmp_path: Path) -> None:
    assert FixedGenerator(tmp_path).report().rate == 4.0


def test_an_answer_other_than_200_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="503"):
        FixedGenerator(tmp_path, errors={"503": 2}).report()


def test_a_run_without_answers_fails(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="no answer"):
        FixedGenerator(tmp_path, answered=0).report()


def test_a_generator_that_has_ended_fails_the_run(tmp_path: Path) -> None:
    load = FixedGenerator(tmp_path)
    load.line = b""
    with pytest.raises(RunFailed, match="ended"):
        load.report()
