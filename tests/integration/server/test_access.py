"""Access: API keys, browsers' scripts, other machines."""

from pathlib import Path

import pytest

from ops.runtime.api_keys import mint
from ops.runtime.settings import InvalidSettings, Settings
from tests.support.processes import Service, free_port
from tests.support.server_in_process import VALID, FakeTopic, in_process_server

CREATED = "2026-01-01T00:00:00+00:00"
ORIGIN = "https://console.example.com"


async def test_only_a_key_lets_a_transaction_in_and_it_names_the_source(
    topic: FakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    text, kept = mint("billing", CREATED)
    file.write_text(kept.line())
    async with in_process_server(topic, API_KEYS_FILE=str(file)) as server:
        for headers in ({}, {"Authorization": "Bearer nope"}, {"Authorization": f"Basic {text}"}):
            status, verdict = await server.post(VALID, **headers)
            assert (status, verdict["message"]) == (401, "Unauthorized")
            assert verdict["payload"] is None
            assert verdict["error"][0]["rule"] == "api_key"
        assert topic.messages == []

        status, _ = await server.post(VALID, Authorization=f"Bearer {text}")
        assert status == 200
        assert topic.messages[0].attributes["source"] == "billing"
        assert (await server.get("/healthz"))[0] == (await server.get("/readyz"))[0] == 200

        file.write_text("")
        assert (await server.post(VALID, Authorization=f"Bearer {text}"))[0] == 401


async def test_the_same_idempotency_key_of_two_sources_is_two_transactions(
    topic: FakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    minted = [mint(name, CREATED) for name in ("billing", "orders")]
    file.write_text("".join(kept.line() for _, kept in minted))
    async with in_process_server(topic, API_KEYS_FILE=str(file)) as server:
        ids = {
            (await server.post(VALID, Authorization=f"Bearer {text}", Idempotency_Key="1"))[1]["id"]
            for text, _ in minted
        }
    assert len(ids) == 2


async def test_scripts_of_browsers_have_no_access_by_default(topic: FakeTopic) -> None:
    async with in_process_server(topic) as server:
        headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        async with server.client.options(server.url + "/api/activities", headers=headers) as answer:
            assert answer.status == 405
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_only_the_origins_of_the_setting_have_access(topic: FakeTopic) -> None:
    async with in_process_server(topic, CORS_ORIGINS=f"{ORIGIN}, http://127.0.0.1:3000") as server:
        url = server.url + "/api/activities"
        asked = {"Access-Control-Request-Method": "POST"}
        async with server.client.options(url, headers={"Origin": ORIGIN, **asked}) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]
        async with server.client.options(
            url, headers={"Origin": "https://e.com", **asked}
        ) as answer:
            assert answer.status == 403
        kind = {"Content-Type": "application/json"}
        async with server.client.post(
            url, data=b"{}", headers={"Origin": ORIGIN, **kind}
        ) as answer:
            assert answer.status == 400
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        async with server.client.post(
            url, data=VALID, headers={"Origin": "https://e.com", **kind}
        ) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_invalid_origin_is_a_fault_of_the_settings() -> None:
    with pytest.raises(InvalidSettings, match="CORS_ORIGINS"):
        Settings.parse({"CORS_ORIGINS": "example.com"})


def test_an_exposed_server_stops_at_its_start_with_one_clear_line() -> None:
    variables = {"PROJECT_ID": "", "HOST": "0.0.0.0", "PORT": str(free_port())}
    with Service.module("server", **variables) as server:
        assert server.wait(20) == 78
        assert server.output.startswith("server: refusing to serve on 0.0.0.0:")
        assert server.output.count("\n") == 1
