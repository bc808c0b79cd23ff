import importlib
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from ops.commands.__main__ import COMMANDS, main
from ops.runtime.settings import DECLARATIONS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "-h"]) == 0
    assert f"gatekeeper {name}" in capsys.readouterr().out.split("Examples:")[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_typer_app(name: str) -> None:
    assert isinstance(importlib.import_module(COMMANDS[name].module).app, typer.Typer)


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(command.summary in shown for command in COMMANDS.values())


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gatekeeper {importlib.metadata.version('gatekeeper')}\n"


HEAVY = {
    *("aiohttp", "asyncio", "duckdb", "google", "grpc", "matplotlib", "psutil", "rich"),
    *("sqlglot", "sqlite3", "uvloop", "yaml"),
}


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_only_the_commands_module_and_no_large_library(words: list[str]) -> None:
    """Start-up takes a fraction of a second because of this."""
    script = (
        "import sys; from ops.commands.__main__ import main; main(sys.argv[1:]); "
        "print('IMPORTED', *sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=True
    ).stdout
    imported = set(shown.split("IMPORTED")[1].split())
    assert sorted(HEAVY & {name.partition(".")[0] for name in imported}) == []
    commands = {command.module for command in COMMANDS.values()} & imported
    assert commands == ({COMMANDS[words[0]].module} if words[0] in COMMANDS else set())


def test_completion_offers_commands_and_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_GATEKEEPER_COMPLETE", "complete_bash")
    for typed, offered in (("gatekeeper pro", "provision"), ("gatekeeper status --w", "--watch")):
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
        with pytest.raises(SystemExit, match="0"):
            main([])
        assert offered in capsys.readouterr().out


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (typer.Abort(), 130), (BrokenPipeError(), 0)]
)
def test_an_interrupt_is_130_and_a_closed_pipe_is_no_error(
    error: BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("ops.commands.query._fetch", raising(error))
    assert main(["query", "SELECT 1"]) == status
    assert capsys.readouterr() == ("", "")


def test_a_closed_pipe_is_quiet_to_the_end_of_the_process() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "ops.commands", "audit", "run", "--kinds", "help"]
    with open(writer, "wb") as closed:  # noqa: PTH123  # a descriptor
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("state_dir", ["state", "missing"])
def test_an_unexpected_error_is_one_line_and_its_traceback_is_in_a_file(
    state_dir: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("state", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("STATE_DIR", str(tmp_path / state_dir))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("ops.commands.query._fetch", raising(ValueError("two\nlines")))
    assert main(["query", "SELECT 1"]) == 1
    line, details = capsys.readouterr().err.split("; details in ")
    assert line == "gatekeeper query: unexpected error: ValueError: two lines"
    file = Path(details.removesuffix("\n"))
    assert file.parent.name == {"state": "state", "missing": "temporary"}[state_dir]
    assert file.stat().st_mode & 0o777 == 0o600
    kept = file.read_text()
    assert "['query', 'SELECT 1']\nTraceback" in kept
    assert "raise error" in kept


def test_wrong_settings_are_all_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEDGER_DAYS", "soon")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SystemExit, match="78"):
        main(["query", "SELECT 1"])
    shown = capsys.readouterr().err
    assert "LEDGER_DAYS='soon'" in shown
    assert "LOG_LEVEL='loud'" in shown


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("PROJECT_ID=my-project\nDATASET_ID=sales\n".encode("utf-16"), "line 1: it is UTF-16"),
        (b"DATASET_ID=sales\nPROJECT_ID: my-project\n", "line 2: expected NAME=value"),
        (b'DATASET_ID=sales\nPROJECT_ID="my-project\nTOPIC_ID=sales\n', "line 2: expected"),
        (b"project_id=my-project\n", "did you mean PROJECT_ID?"),
        (b"PROJECT_ID my-project\n", "line 1: expected NAME=value"),
        (b"DATASET_ID=sales\n", "line 1: DATASET_ID is set, but PROJECT_ID is not"),
        (b"PORT=abc\n", ".env line 1: PORT='abc'"),
    ],
)
def test_no_command_runs_with_a_dotenv_that_is_not_understood(
    content: bytes,
    shown: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / ".env").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    for name in DECLARATIONS:
        monkeypatch.delenv(name, raising=False)
    for words in (["query", "SELECT 1"], ["status"], ["send", "x"], ["doctor"]):
        with pytest.raises(SystemExit, match="78"):
            main(words)
        assert shown in capsys.readouterr().err
