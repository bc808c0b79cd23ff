"""`gatekeeper apikey`: its file and its output."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.commands.__main__ import main
from ops.commands.apikey.keys_file import changing
from ops.runtime.api_keys import KeyRing, mint


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys" / "api-keys"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_KEYS_FILE", str(path))
    return path


def test_a_created_key_is_printed_once_and_is_valid(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apikey", "create", "billing"]) == 0

    text = capsys.readouterr().out.strip()
    key = KeyRing(file).find(text)
    assert key is not None
    assert (key.name, key.rate) == ("billing", None)
    assert text not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["api-keys"]

    assert main(["apikey", "list"]) == 0
    listed = capsys.readouterr().out
    assert "billing" in listed
    assert text not in listed
    assert json.loads(file.read_text())["hash"][:8] not in listed


def test_a_revoked_key_is_invalid_and_the_others_are_valid(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {}
    for name in ("billing", "orders"):
        main(["apikey", "create", name])
        texts[name] = capsys.readouterr().out.strip()
    ring = KeyRing(file)

    assert main(["apikey", "revoke", "billing"]) == 0

    assert ring.find(texts["billing"]) is None
    assert ring.find(texts["orders"]) is not None
    assert main(["apikey", "revoke", "billing"]) == 1
    assert "no key of billing" in capsys.readouterr().err


def test_a_name_is_given_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["apikey", "create", "billing"])
    before = file.read_bytes()
    assert main(["apikey", "create", "billing"]) == 1
    assert "already has a key" in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "rate", "burst"),
    [
        (["--rate", "200/s", "--burst", "400"], 200, 400),
        (["--rate", "30/min"], 0.5, 1),
        (["--rate", "2.5/s"], 2.5, 3),
    ],
)
def test_a_key_may_have_a_rate(
    file: Path, options: list[str], rate: float, burst: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apikey", "create", "billing", *options]) == 0
    key = KeyRing(file).find(capsys.readouterr().out.strip())
    assert key is not None
    assert (key.rate, key.burst) == (rate, burst)
    main(["apikey", "list"])
    assert f"{rate:g}/s" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--rate", "200"], ["--rate", "0/s"], ["--burst", "4"]])
def test_a_wrong_rate_makes_no_key(
    file: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apikey", "create", "billing", *options]) == 2
    assert "--rate" in capsys.readouterr().err
    assert not file.exists()


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\n", "é", "x" * 65, '"', "../x"])
def test_an_invalid_name_is_refused(
    file: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apikey", "create", "--", name]) == 2
    assert "a name has" in capsys.readouterr().err
    assert not file.exists()


@pytest.mark.usefixtures("file")
def test_without_the_setting_the_error_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("API_KEYS_FILE")
    assert main(["apikey", "list"]) == 1
    assert "API_KEYS_FILE is not set" in capsys.readouterr().err


def test_a_broken_file_is_reported_and_left_unchanged(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.parent.mkdir()
    file.write_text("not a key\n")
    assert main(["apikey", "create", "billing"]) == 1
    assert "line 1" in capsys.readouterr().err
    assert file.read_text() == "not a key\n"


def test_parallel_commands_lose_no_key(file: Path) -> None:
    def add(number: int) -> None:
        with changing(file) as keys:
            keys.append(mint(f"source{number}", "")[1])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
    assert file.read_text().count("\n") == 40


def test_a_linked_file_stays_linked(file: Path, tmp_path: Path) -> None:
    file.parent.mkdir()
    real = tmp_path / "secrets" / "real"
    file.symlink_to(real)
    assert main(["apikey", "create", "billing"]) == 0
    assert file.is_symlink()
    assert real.read_text().count("\n") == 1


def test_a_key_has_the_role_and_the_tables_that_it_was_made_with(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--role", "operate", "--tables", "orders_*, payments"]
    assert main(["apikey", "create", "billing", *options]) == 0
    key = KeyRing(file).find(capsys.readouterr().out.strip())
    assert key is not None
    assert (key.role, key.tables) == ("operate", ("orders_*", "payments"))
    assert [key.may_write(table) for table in ("orders_1", "payments", "Payments", "x")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("options", [["--role", "admin"], ["--tables", "a,"], ["--tables", "a-b"]])
def test_a_key_with_another_role_or_pattern_is_not_made(file: Path, options: list[str]) -> None:
    assert main(["apikey", "create", "billing", *options]) == 2
    assert not file.exists() or not file.read_text()


def test_a_key_may_name_a_webhook_where_webhooks_are_signed(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create = ["apikey", "create", "shop", "--notify"]
    assert main([*create, "https://a.example/hook"]) == 1
    assert "NOTIFY_KEY_FILE" in capsys.readouterr().err

    secret = file.parent.parent / "notify-key"
    secret.write_text("n" * 32)
    monkeypatch.setenv("NOTIFY_KEY_FILE", str(secret))
    assert main([*create, "http://a.example/hook"]) == 2
    assert "--notify: a URL such as https:" in capsys.readouterr().err
    assert main([*create, "https://a.example/hook"]) == 0
    key = KeyRing(file).find(capsys.readouterr().out.strip())
    assert key is not None
    assert key.notify == "https://a.example/hook"
