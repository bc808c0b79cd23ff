import importlib
from argparse import ArgumentParser

import pytest

from ops.commands.__main__ import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert f"gatekeeper {name}" in capsys.readouterr().out.split("For example:")[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_declares_its_arguments_and_runs(name: str) -> None:
    module = importlib.import_module(f"ops.commands.{name}.command")
    module.arguments(ArgumentParser())
    assert callable(module.run)


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(what in shown for what in COMMANDS.values())


def test_an_unknown_command_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["porvision"])
    assert "provision" in capsys.readouterr().err


def test_wrong_settings_are_all_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEDGER_DAYS", "soon")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SystemExit, match="78"):
        main(["query", "SELECT 1"])
    shown = capsys.readouterr().err
    assert "LEDGER_DAYS='soon'" in shown
    assert "LOG_LEVEL='loud'" in shown
