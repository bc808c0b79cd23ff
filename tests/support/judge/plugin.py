"""The pytest plugin: every SQL text that leaves a process of the run is judged at its end.

A text that GoogleSQL refuses fails the run and is printed with the error.
"""

import importlib
import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.judge import collected

_FOLDER = "SQL_TEXTS_DIR"
_EVERY_PROCESS = Path(__file__).parent / "every_process"
_OURS = pytest.StashKey[tempfile.TemporaryDirectory[str]]()
_REPORT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Have this process and all that it starts record what they send."""
    if _FOLDER in os.environ:
        return  # a process of pytest-xdist, or a run inside a run
    config.stash[_OURS] = tempfile.TemporaryDirectory(prefix="sql-texts-")
    os.environ[_FOLDER] = config.stash[_OURS].name
    paths = [str(_EVERY_PROCESS), os.environ.get("PYTHONPATH")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    sys.path.insert(0, str(_EVERY_PROCESS))
    importlib.import_module("sitecustomize")  # recording starts with its import


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.stash.get(_OURS, None)
    if folder is None:
        return
    with folder:
        count, refused = collected.judge(collected.read(Path(folder.name)))
    report = [f"{count} SQL texts judged by GoogleSQL, {len(refused)} refused"] if count else []
    for each in refused:
        report += ["", each.sql, f"  {each.error}"]
    session.config.stash[_REPORT] = report
    if refused:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash.get(_REPORT, []):
        terminalreporter.line(line)
