"""Access: API keys, browsers' scripts, other machines."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ops.rig import Service, free_port
from ops.runtime.api_keys import mint
from ops.runtime.settings import InvalidSettings, Settings
from tests.support.server_in_process import INSERT, VALID, FakeTopic, in_process_server

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


async def test_a_key_that_is_revoked_during_a_batch_sends_no_further_line(
    topic: FakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    text, kept = mint("billing", CREATED)
    file.write_text(kept.line())

    async def lines() -> AsyncIterator[bytes]:
        yield VALID + b"\n"
        await asyncio.sleep(0.2)
        file.write_text("")
        await asyncio.sleep(1)
        yield VALID + b"\n" + VALID

    async with in_process_server(topic, API_KEYS_FILE=str(file)) as server:
        headers = {"Authorization": f"Bearer {text}", "Content-Type": "application/x-ndjson"}
        async with server.client.post(
            server.url + "/api/activities/batch", data=lines(), headers=headers
        ) as answer:
            verdict = await answer.json()
    assert [each["status"] for each in verdict["results"]] == [200, 401]
    assert len(topic.messages) == 1


async def test_a_key_writes_its_own_tables_only(topic: FakeTopic, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    text, kept = mint("billing", CREATED, tables=("orders_*", "payments"))
    file.write_text(kept.line())

    def insert(*tables: str) -> bytes:
        return json.dumps({"activities": [{**INSERT, "table": each} for each in tables]}).encode()

    key = {"Authorization": f"Bearer {text}"}
    async with in_process_server(topic, API_KEYS_FILE=str(file)) as server:
        for path in ("/api/activities", "/api/activities/validate"):
            assert (await server.post(insert("orders_1", "payments"), path, **key))[0] == 200
            status, verdict = await server.post(insert("payments", "orders", "x"), path, **key)
            assert (status, verdict["message"], verdict["payload"]) == (403, "Forbidden", None)
            assert [(each["pointer"], each["got"]) for each in verdict["error"]] == [
                ("/activities/1/table", "orders"),
                ("/activities/2/table", "x"),
            ]
        async with server.client.post(
            server.url + "/api/activities/batch",
            data=b"\n".join([insert("payments"), insert("Payments"), insert("orders_")]),
            headers={**key, "Content-Type": "application/x-ndjson"},
        ) as answer:
            verdict = await answer.json()
    assert [each["status"] for each in verdict["results"]] == [200, 403, 200]
    assert len(topic.messages) == 3


async def test_a_page_of_another_site_reaches_nothing(topic: FakeTopic) -> None:
    foreign = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    async with in_process_server(topic) as server:
        for path in ("/", "/console/state", "/healthz", "/api/activities/x", "/openapi.json"):
            for headers in (foreign, {"Host": "rebind.evil.example"}):
                async with server.client.get(server.url + path, headers=headers) as answer:
                    assert answer.status == 403, path
        for path in ("", "/batch", "/validate"):
            status, verdict = await server.post(VALID, f"/api/activities{path}", **foreign)
            assert (status, verdict["message"]) == (403, "Forbidden")
        assert topic.messages == []


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
            assert answer.status == 403
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
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_invalid_origin_is_a_fault_of_the_settings() -> None:
    with pytest.raises(InvalidSettings, match="CORS_ORIGINS"):
        Settings.parse({"CORS_ORIGINS": "example.com"})


def test_an_exposed_server_stops_at_its_start_with_one_clear_line() -> None:
    variables = {"PROJECT_ID": "", "HOST": "0.0.0.0", "PORT": str(free_port())}
    with Service.module("server", **variables) as server:
        assert server.wait() == 78
        assert server.output.startswith("server: refusing to serve on 0.0.0.0:")
        assert server.output.count("\n") == 1
