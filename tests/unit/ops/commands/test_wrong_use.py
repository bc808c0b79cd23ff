"""Every command with what it cannot use, and without any service: one line, no traceback."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ops.commands.__main__ import COMMANDS, main

WRONG_USE: list[tuple[str, str]] = [
    ("", "Missing command"),
    ("porvision", "Did you mean 'provision'?"),
    ("apikey", "Missing command"),
    ("apikey create", "Missing argument 'NAME'"),
    ("apikey create ü", "a name has 1 to 64"),
    ("apikey create a --role x", "--role"),
    ("apikey create a --burst 4", "--burst needs --rate"),
    ("apikey create a --rate -1/s", "--rate -1/s: expected"),
    ("apikey create a --rate 0/s", "--rate 0/s: expected"),
    (f"apikey create a --rate {'9' * 400}/s", "up to 1,000,000"),
    ("apikey create a --tables ü", "--tables: 'ü'"),
    ("apikey lst", "Did you mean 'list'?"),
    ("apikey list x", "unexpected extra argument"),
    ("audit --ids a --journal b", "not both"),
    ("audit --ids a --wait nan", "--wait"),
    ("audit --ids a --wait -1", "--wait"),
    ("audit", "give --journal FILE or --ids FILE"),
    ("audit --ids missing", "missing: No such file"),
    ("audit --ids folder", "folder: Is a directory"),
    ("audit --journal broken", "broken:1: no line of a journal"),
    ("audit --journal binary", "binary:1: no line of a journal"),
    ("audit run --transactions 0", "--transactions"),
    ("audit run --kinds x", "no such fault: x"),
    ("audit run --folder broken", "broken"),
    ("bench", "Missing command"),
    ("bench coast", "Did you mean 'cost'?"),
    ("bench cost --rate x", "'x' is not a valid float"),
    ("bench cost --rate nan", "--rate nan: expected"),
    ("bench cost --rate -1", "--rate -1: expected"),
    ("bench cost --tables 0", "--tables 0: expected"),
    ("bench cost --job-seconds 1e308", "--job-seconds 1e+308: expected"),
    ("bench cost --partitions 3", "a table has only 1"),
    ("bench all x", "unexpected extra argument"),
    ("contract diff", "Missing argument 'OLD'"),
    ("contract lint --format x", "No such option"),
    ("contract report --days 0", "--days"),
    ("deadletter list --limit 0", "--limit"),
    ("deadletter show", "give ids, or --where"),
    ("deadletter list --where x=1", "--where takes"),
    ("deadletter list --where since=soon", "since=soon"),
    ("deadletter replay a --wait -1", "--wait"),
    ("doctor --format json", "No such option: --format"),
    ("doctor --seconds nan", "--seconds"),
    ("doctor --seconds 0", "--seconds"),
    ("export", "Missing argument"),
    ("export x", "'x' is not one of"),
    ("export ledger --since yesterday", "--since: 'yesterday' is no time"),
    ("notify", "Missing command"),
    ("notify test", "Missing argument 'NAME'"),
    ("provision --wait nan", "--wait"),
    ("provision --retention 0", "--retention"),
    ("provision --labels ===", "--labels: '==='"),
    ("provision --kms-key x", "--kms-key: 'x'"),
    ("query", "Missing argument 'SQL'"),
    ("query \t", "SQL is empty"),
    ("query SELECT --json --csv", "not both"),
    ("resume x", "unexpected extra argument"),
    ("rewind", "Missing option '--to'"),
    ("rewind --to soon", "--to: 'soon' is no time"),
    ("rewind --to 2100-01-01", "in the future"),
    ("send", "Missing argument 'FILE'"),
    ("send broken --patience nan", "--patience"),
    ("send broken --concurrency 0", "--concurrency"),
    ("send broken --url x", "--url 'x': expected"),
    ("send broken --url http://a:b", "--url 'http://a:b': expected"),
    ("send broken --run ü", "--run takes"),
    ("spool discard", "give sequences, or --all"),
    ("spool discard x", "'x' is not a valid"),
    ("status --watch 0", "--watch"),
    ("status --watch inf", "--watch"),
    ("status --watch 1 --json", "not both"),
]
FAILURES: list[tuple[str, str]] = [
    ("apikey list", "API_KEYS_FILE is not set: name a file in .env"),
    ("contract lint missing", "missing: No such file"),
    ("contract diff broken binary", "broken:"),
    ("contract docs --output folder", "folder: Is a directory"),
    ("contract docs folder --output missing/x", "missing/x: No such file"),
    ("contract plan missing", "missing: No such file"),
    ("contract infer missing.ndjson", "missing.ndjson: No such file"),
    ("contract infer orders", "BigQuery does not answer at 127.0.0.1:1: is the fleet running?"),
    ("deadletter list", "BigQuery does not answer at 127.0.0.1:1: is the fleet running?"),
    ("deadletter show ü", "BigQuery does not answer"),
    ("export ledger", "BigQuery does not answer"),
    ("notify test x", "no key and no table x has a webhook"),
    ("provision", "Pub/Sub does not answer at 127.0.0.1:1: start it with ops/up"),
    ("query SELECT", "BigQuery does not answer"),
    ("rewind --to 1h --yes", "Pub/Sub does not answer"),
    ("send missing", "missing"),
    ("send folder", "folder"),
    ("send broken --key-file binary", "binary is no key"),
    ("send broken --key-file missing", "missing"),
    ("send broken --rejected folder", "folder"),
    ("spool discard 7 --yes", "Pub/Sub refused no 7"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with files that no command can read, and nothing that answers."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").write_text("{bad\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("API_KEYS_FILE", raising=False)
    monkeypatch.setenv("PROJECT_ID", "")
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    for name in ("PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "PUSHGATEWAY_PROMETHEUS_HOST"):
        monkeypatch.setenv(name, "127.0.0.1:1")


@pytest.mark.parametrize(
    ("status", "words", "cause"),
    [
        *((2, words, cause) for words, cause in WRONG_USE),
        *((1, words, cause) for words, cause in FAILURES),
    ],
)
def test_what_cannot_be_done_is_one_line_that_names_it(
    status: int, words: str, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["query", "\t"] if words == "query \t" else words.split()
    assert main(given) == status
    shown = capsys.readouterr()
    assert cause in shown.err
    assert "unexpected error" not in shown.err
    assert "Errno" not in shown.err
    lines = [line for line in shown.err.splitlines() if line.startswith("gatekeeper: ")]
    assert len(lines) == 1


@pytest.mark.parametrize("file", ["missing", "folder", "broken", "binary"])
def test_a_supervisord_conf_that_cannot_be_read_is_one_line(
    file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SUPERVISORD_CONF", file)
    with pytest.raises(SystemExit) as ended:
        main(["status"])
    line = str(ended.value.code)
    assert line.startswith(f"{tmp_path / file} (SUPERVISORD_CONF) cannot be used: ")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("setting", "words", "cause"),
    [
        (("API_KEYS_FILE", "folder"), "apikey list", "folder: Is a directory"),
        (("API_KEYS_FILE", "binary"), "apikey create a", "binary: 'utf-8' codec can't decode"),
        (("API_KEYS_FILE", "broken"), "notify list", "broken: line 1: "),
        (("STATE_DIR", "broken"), "notify list", "STATE_DIR cannot be used: "),
        (("CONTRACTS_DIR", "broken"), "contract lint", "1 faults in 1 files"),
    ],
)
def test_files_of_the_settings_that_cannot_be_read_are_one_line(
    setting: tuple[str, str],
    words: str,
    cause: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(*setting)
    assert main(words.split()) == 1
    printed = capsys.readouterr().err
    assert cause in printed
    assert "Errno" not in printed
    assert len(printed.splitlines()) == 1


def commands(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from commands((*path, name), each)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_each_of_its_options_has_a_help_text(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    top = get_command(importlib.import_module(COMMANDS[name].module).app)
    for path, command in commands((name,), top):
        assert main([*path, "--help"]) == 0
        assert f"Usage: gatekeeper {' '.join(path)} " in capsys.readouterr().out
        assert command.help, path
        for parameter in command.params:
            assert getattr(parameter, "help", None), (path, parameter.name)
