"""Every line of the verdict table over HTTP, with the server as supervisord runs it."""

import gzip
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
import requests

from ops.commands.__main__ import main
from schema import lane_name, lane_of
from tests.support.server import JSON, LIMIT, Server
from tests.support.server_in_process import INSERT, VALID

KEYS = ["status", "message", "error", "id", "payload"]
INVALID = json.dumps({"activities": [{**INSERT, "table": "1", "col_values": ["x", 2]}]}).encode()
PATHS = ("/api/activities", "/api/activities/validate")


def verdict(
    server: Server, path: str, body: bytes, **headers: str
) -> tuple[int, dict[str, Any], Mapping[str, str]]:
    """POST, and return the verdict; its status must be that of HTTP."""
    named = {**JSON, **{name.replace("_", "-"): text for name, text in headers.items()}}
    status, answer, got = server.ask(path, body, named)
    assert list(answer) == KEYS
    assert answer["status"] == status
    assert got["Content-Type"] == "application/json"
    return status, answer, got


@pytest.mark.parametrize("path", PATHS)
def test_200_valid_schema(server: Server, path: str) -> None:
    status, answer, _ = verdict(server, path, VALID)

    assert (status, answer["message"], answer["error"]) == (200, "Valid Schema", None)
    assert answer["payload"] == json.loads(VALID)
    assert bool(answer["id"]) == (path == "/api/activities")


@pytest.mark.parametrize("path", PATHS)
def test_400_invalid_schema_names_all_faults(server: Server, path: str) -> None:
    status, answer, _ = verdict(server, path, INVALID)

    assert (status, answer["message"], answer["id"]) == (400, "Invalid Schema", None)
    assert [(fault["pointer"], fault["rule"], fault["got"]) for fault in answer["error"]] == [
        ("/activities/0/table", "table_name", "1"),
        ("/activities/0/col_values/0", "value", "x"),
        ("/activities/0/col_values/1", "value", 2),
    ]
    assert all(list(fault) == ["pointer", "rule", "message", "got"] for fault in answer["error"])
    assert answer["payload"] == json.loads(INVALID)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"{", VALID.replace(b'"x"', b'"\xff"'), VALID[:-1]])
def test_400_invalid_json(server: Server, path: str, body: bytes) -> None:
    status, answer, _ = verdict(server, path, body)
    assert (status, answer["message"], answer["payload"]) == (400, "Invalid JSON", None)


@pytest.mark.parametrize("path", [*PATHS, "/api/activities/batch"])
def test_401_unauthorized(guarded: Server, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer gk_wrong"}):
        status, answer, got = verdict(guarded, path, VALID, **headers)
        assert (status, answer["message"]) == (401, "Unauthorized")
        assert got["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", PATHS)
def test_413_payload_too_large_as_sent_and_after_decompression(server: Server, path: str) -> None:
    large = VALID + b" " * LIMIT
    for body, headers in ((large, {}), (gzip.compress(large), {"Content_Encoding": "gzip"})):
        status, answer, _ = verdict(server, path, body, **headers)
        assert (status, answer["message"]) == (413, "Payload Too Large")
    status, _, _ = verdict(server, path, VALID + b" " * (LIMIT - len(VALID)))
    assert status == 200


@pytest.mark.parametrize("path", PATHS)
def test_415_unsupported_media_type_and_encoding(server: Server, path: str) -> None:
    for headers in ({"Content_Type": "text/xml"}, {"Content_Encoding": "br"}):
        status, answer, _ = verdict(server, path, VALID, **headers)
        assert (status, answer["message"]) == (415, "Unsupported Media Type")


def test_503_unavailable_when_nothing_is_durable(guarded: Server, key: dict[str, str]) -> None:
    status, answer, got = verdict(guarded, "/api/activities", VALID, **key)

    assert (status, answer["message"], answer["id"]) == (503, "Unavailable", None)
    assert int(got["Retry-After"]) > 0


@pytest.fixture
def key(
    keys_file: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, str]:
    """A key made by the operator's command while the server runs."""
    monkeypatch.setenv("API_KEYS_FILE", str(keys_file))
    main(["apikey", "revoke", "billing"])
    capsys.readouterr()
    assert main(["apikey", "create", "billing"]) == 0
    return {"Authorization": f"Bearer {capsys.readouterr().out.strip()}"}


def test_keys_are_created_and_revoked_without_a_restart(
    guarded: Server, key: dict[str, str]
) -> None:
    path = "/api/activities/validate"
    assert verdict(guarded, path, VALID, **key)[0] == 200
    assert main(["apikey", "revoke", "billing"]) == 0
    assert verdict(guarded, path, VALID, **key)[0] == 401


def test_the_first_gatekeepers_clients_keep_working(server: Server) -> None:
    url = f"{server.url}/api/activities"
    payload = json.loads(VALID)
    for sent in (
        requests.post(url, json=payload, timeout=30),
        requests.post(
            url, data=json.dumps(payload), headers={"Content-Type": "application/json"}, timeout=30
        ),
    ):
        answer = sent.json()
        assert answer["status"] == sent.status_code == 200
        assert answer["message"] == "Valid Schema"
        assert answer["payload"] == payload
        assert answer["error"] is None

    answer = requests.post(url, json={"activities": []}, timeout=30).json()
    assert (answer["status"], answer["message"]) == (400, "Invalid Schema")
    assert answer["payload"] == {"activities": []}
    assert answer["error"]


def test_what_is_answered_200_is_on_the_topic_byte_for_byte(
    server: Server, pulled: Any, around: dict[str, str]
) -> None:
    body = VALID.replace(b'"x"', rb'"\u00e9 \ud83d\ude00"') + b"\n"
    _, answer, _ = verdict(server, "/api/activities", body, Ordering_Key="mine")

    message = pulled(answer["id"])
    assert message.data == body
    assert message.ordering_key == lane_name(lane_of("mine", int(around["LANES"])))
    assert message.attributes["ordering_key"] == "mine"
    assert message.attributes["sha256"] == hashlib.sha256(body).hexdigest()
