import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops.fleet.config import ROOT
from ops.fleet.down import DEADLINE_SECONDS

UNIT = ROOT / "ops" / "deploy" / "gatekeeper.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text()
    text = text.replace("/opt/gatekeeper/.venv", sys.prefix).replace("/opt/gatekeeper", str(ROOT))
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / UNIT.name],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    named = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, named) == (0, [])


def test_systemd_waits_as_long_as_a_drain_may_take() -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names have capitals
    parser.read(UNIT)
    assert float(parser["Service"]["TimeoutStopSec"]) == DEADLINE_SECONDS
    assert parser["Service"]["KillMode"] == "mixed", "supervisord drains the others in order"
