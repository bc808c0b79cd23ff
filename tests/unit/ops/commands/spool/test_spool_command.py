"""The commands next to a server that has the spool open."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.pubsub_v1 import PubsubMessage

from ops.commands.__main__ import main
from ops.runtime.settings import Settings
from schema import compose_message
from server.spool import read_summary, spool_folder
from server.spool.state import SpoolFlag
from server.spool.store import SpoolStore

Shown = pytest.CaptureFixture[str]


def stored(id_: str, body: bytes) -> tuple[str, bytes]:
    message = compose_message(
        body, id=id_, source="shop", received_at="2026-01-01T00:00:00Z", ordering_key="orders"
    )
    form = PubsubMessage(data=body, attributes=message.attributes, ordering_key="lane-05")
    return "lane-05", PubsubMessage.serialize(form)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROJECT_ID", "")
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    return Settings.load(dotenv=tmp_path / "no.env")


@pytest.fixture
def server(settings: Settings) -> Iterator[SpoolStore]:
    """A server's handle: 2 and 3 were refused, 1 waits."""
    folder = spool_folder(settings)
    folder.mkdir(parents=True)
    with (
        closing(SpoolFlag(folder / "flag")) as flag,
        closing(SpoolStore(folder, flag, 10_000_000)) as store,
    ):
        body = b'{"activities": [{"table": "orders"}]}'
        store.append([[stored("a1", b"1"), stored("a2", body), stored("a3", b"\xff")]])
        store.settle([], [(2, "attribute too long"), (3, "bad data")])
        yield store


def spool(*words: str) -> int:
    return main(["spool", *words])


def listed(capsys: Shown) -> dict[str, Any]:
    capsys.readouterr()
    assert spool("list", "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_what_pubsub_refused_is_listed_exported_and_discarded_while_servers_run(
    server: SpoolStore, settings: Settings, capsys: Shown, tmp_path: Path
) -> None:
    found = listed(capsys)
    assert found["waiting"] == 1
    assert [(each["sequence"], each["id"], each["error"]) for each in found["refused"]] == [
        (2, "a2", "attribute too long"),
        (3, "a3", "bad data"),
    ]
    assert found["refused"][0]["tables"] == ["orders"]
    assert spool("list") == 0
    assert "2 refused by Pub/Sub; 1 wait to be published" in capsys.readouterr().out

    file = tmp_path / "refused.ndjson"
    assert spool("export", "--output", str(file)) == 0
    first, second = map(json.loads, file.read_text().splitlines())
    assert json.loads(first["body"])["activities"]
    assert (second["body"], second["body_base64"]) == (None, "/w==")

    assert spool("discard", "2", "--yes") == 0
    assert [each["sequence"] for each in listed(capsys)["refused"]] == [3]
    assert spool("discard", "2", "--yes") == 1
    assert "Pub/Sub refused no 2" in capsys.readouterr().err
    assert spool("discard", "--all", "--yes") == 0
    summary = read_summary(settings, 1)
    assert summary
    assert (summary.messages, summary.refused) == (1, 0)
    # The room is free again: what is stored fits the bytes of one message.
    with server._db.reading("SELECT bytes, refused_bytes FROM totals") as rows:
        assert list(rows) == [(summary.bytes, 0)]


def test_without_a_spool_there_is_nothing_to_do(settings: Settings, capsys: Shown) -> None:
    assert listed(capsys) == {"waiting": 0, "refused": []}
    assert spool("discard", "--all") == 0
    assert not spool_folder(settings).exists()
    assert spool("export", "--output", "/nowhere/refused.ndjson") == 1
    assert capsys.readouterr().err == (
        "gatekeeper: /nowhere/refused.ndjson: No such file or directory\n"
    )
