import asyncio
import base64
import itertools
import json
import math
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ops.rig import eventually
from ops.runtime import api_keys as keys
from ops.runtime.settings import Settings
from server.console.app import LEDGER_SECONDS, Console, pause_seconds
from server.http import IN_FLIGHT, InFlight
from tests.support import browser
from tests.support.browser import Browser
from tests.support.server_in_process import NOWHERE, FakeTopic, InProcessServer, in_process_server

NOBODY: dict[str, Any] = {
    "PUBSUB_EMULATOR_HOST": NOWHERE,
    "BIGQUERY_EMULATOR_HOST": NOWHERE,
    "PUSHGATEWAY_PROMETHEUS_HOST": NOWHERE,
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUPERVISOR_SERVER_URL", raising=False)


@pytest.fixture
async def server(topic: FakeTopic) -> AsyncIterator[InProcessServer]:
    async with in_process_server(topic, **NOBODY) as server:
        yield server


async def test_the_page_is_html_that_may_run_only_its_own_script(server: InProcessServer) -> None:
    async with server.client.get(server.url + "/") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "<title>Gatekeeper</title>" in await answer.text()


async def test_with_every_source_down_the_state_reports_it_in_time(
    server: InProcessServer,
) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(120):
        while True:
            began = loop.time()
            async with server.client.get(server.url + "/console/state") as answer:
                assert answer.status == 200
                assert answer.headers["Cache-Control"] == "no-store"
                state = json.loads(await answer.read())
            assert loop.time() - began < 2 * LEDGER_SECONDS, "it waited for the slowest source"
            sources = state["sources"]
            assert sources.pop("supervisord")["state"] == "absent"
            if {source["state"] for source in sources.values()} == {"down"}:
                break
            await asyncio.sleep(0.1)
    assert state["totals"] is None
    assert all(source["fault"] for source in sources.values())
    assert (await server.post(b'{"activities": []}'))[0] == 400, "the server still works"


async def test_however_many_watch_the_pushgateway_is_queried_once_a_second(
    topic: FakeTopic,
) -> None:
    queried: list[float] = []

    async def metrics(_: web.Request) -> web.Response:
        queried.append(asyncio.get_running_loop().time())
        return web.Response(
            text='push_time_seconds{instance="server_00",job="gatekeeper_server"} 1\n'
        )

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        there = {**NOBODY, "PUSHGATEWAY_PROMETHEUS_HOST": f"127.0.0.1:{port}"}
        async with in_process_server(topic, **there) as server:

            async def watch() -> None:
                async with server.client.get(server.url + "/console/state") as answer:
                    assert (await answer.json())["processes"][0]["name"] == "server_00"

            for _ in range(3):
                await asyncio.gather(*(watch() for _ in range(20)))
    finally:
        await runner.cleanup()
    gaps = [later - earlier for earlier, later in itertools.pairwise(queried)]
    assert all(gap > 0.9 for gap in gaps), gaps


async def test_the_history_is_filled_while_nobody_watches() -> None:
    accepted = itertools.count(100, 50)

    async def metrics(_: web.Request) -> web.Response:
        group, count = 'instance="server_00",job="gatekeeper_server"', next(accepted)
        text = f"push_time_seconds{{{group}}} {time.time() + count}\n"
        text += f"gatekeeper_published_total{{{group}}} {count}\n"
        return web.Response(text=text)

    gateway = web.Application()
    gateway.router.add_get("/metrics", metrics)
    async with TestServer(gateway) as address:
        there = {**NOBODY, "PUSHGATEWAY_PROMETHEUS_HOST": f"127.0.0.1:{address.port}"}
        app = web.Application()
        app[IN_FLIGHT] = InFlight(10, 10)
        watched = Console(Settings.parse(there), step=0.1)
        app.cleanup_ctx.append(watched.run)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            points = watched.history.after(-math.inf)
            names = ["at", *points["series"]]

            def rates() -> list[float]:
                rows = watched.history.after(-math.inf)["points"]
                known = [dict(zip(names, row, strict=True))["accepted"] for row in rows]
                return [rate for rate in known if rate]

            found = await eventually(lambda: rates() if len(rates()) > 1 else None)
            assert found
            assert all(0 < rate <= 1 for rate in found)
            app[IN_FLIGHT].draining = True
            asked = next(accepted)
            await asyncio.sleep(0.5)
            assert next(accepted) - asked <= 2 * 50, "a server that drains reads once more at most"
        finally:
            await runner.cleanup()


def test_a_large_fleet_is_read_seldom_while_nobody_watches() -> None:
    assert pause_seconds(10, 0.01) == 10
    assert pause_seconds(10, 2.0) == 200


async def test_a_history_after_no_time_is_refused(server: InProcessServer) -> None:
    status, verdict = await server.get("/console/history?after=yesterday")
    assert (status, verdict["error"][0]["rule"]) == (400, "after")


def operator(file: Path) -> str:
    """Write a key that may see the console; return its text."""
    text, key = keys.mint("orders", "2024-01-01T00:00:00Z", role="operate")
    file.write_text(key.line())
    return text


def basic(text: str) -> dict[str, str]:
    """Return the header in which a browser sends a key."""
    return {"Authorization": f"Basic {base64.b64encode(f'any:{text}'.encode()).decode()}"}


async def test_with_api_keys_only_an_operator_sees_the_console(
    topic: FakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    text = operator(file)
    sender, key = keys.mint("payments", "2024-01-01T00:00:00Z")
    file.write_text(file.read_text() + key.line())
    async with in_process_server(topic, **NOBODY, API_KEYS_FILE=str(file)) as server:
        for path, challenge in (
            ("/", "Basic"),
            ("/console/state", "Bearer"),
            ("/console/history", "Bearer"),
            ("/console/transactions/a1", "Bearer"),
        ):
            url = server.url + path
            for headers, status in (
                ({}, 401),
                (basic("gk_wrong"), 401),
                ({"Authorization": "Basic ?"}, 401),
                ({"Authorization": f"Bearer {sender}"}, 403),
                (basic(sender), 403),
                ({**basic(text), "Sec-Fetch-Site": "cross-site"}, 403),
                ({**basic(text), "Sec-Fetch-Site": "same-origin"}, 200),
                ({**basic(text), "Origin": "https://evil.example"}, 403),
                ({**basic(text), "Origin": server.url}, 200),
                ({"Authorization": f"Bearer {text}"}, 200),
            ):
                async with server.client.get(url, headers=headers) as answer:
                    assert answer.status == status, (path, headers)
                    if status == 401:
                        assert answer.headers["WWW-Authenticate"].startswith(challenge)


@pytest.mark.parametrize("action", ["replay", "discard"])
async def test_only_an_operator_on_the_servers_own_page_resolves_a_rejection(
    topic: FakeTopic, tmp_path: Path, action: str
) -> None:
    file = tmp_path / "keys"
    text = operator(file)
    sender, key = keys.mint("payments", "2024-01-01T00:00:00Z")
    file.write_text(file.read_text() + key.line())
    away = 503  # it is let in: the warehouse of this test does not answer
    async with in_process_server(topic, **NOBODY, API_KEYS_FILE=str(file)) as server:
        for headers, status in (
            ({}, 401),
            ({"Authorization": f"Bearer {sender}"}, 403),
            ({**basic(text), "Sec-Fetch-Site": "same-site"}, 403),
            ({**basic(text), "Origin": "https://evil.example"}, 403),
            ({**basic(text), "Sec-Fetch-Site": "same-origin"}, away),
        ):
            url = f"{server.url}/console/rejected/a1/{action}"
            async with server.client.post(url, headers=headers) as answer:
                assert answer.status == status, headers
    async with in_process_server(topic, **NOBODY) as server:
        for headers, status in (
            ({"Origin": "https://evil.example"}, 403),
            ({"Host": "evil.example"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Origin": server.url}, away),
        ):
            url = f"{server.url}/console/rejected/a1/{action}"
            async with server.client.post(url, headers=headers) as answer:
                assert answer.status == status, headers


@pytest.mark.skipif(browser.CHROMIUM is None, reason=browser.ABSENT)
async def test_the_page_asks_for_the_key_uses_it_and_keeps_it_nowhere(
    topic: FakeTopic, tmp_path: Path
) -> None:
    text = operator(tmp_path / "keys")
    async with (
        in_process_server(topic, **NOBODY, API_KEYS_FILE=str(tmp_path / "keys")) as server,
        Browser() as chromium,
        chromium.page() as page,
    ):
        await page.call("Network.enable")
        await page.call("Network.setExtraHTTPHeaders", headers=basic(text))
        await page.open(server.url + "/")
        await page.until("document.querySelector('#live').textContent.startsWith('live')")
        await page.call("Network.setExtraHTTPHeaders", headers={})
        await page.until("document.querySelector('#live').textContent === 'locked'")
        assert "need an API key" in await page.text("#key-note")
        await page.run("document.querySelector('#key').focus()")
        await page.type("gk_wrong")
        await page.press("Enter")
        await page.until("document.querySelector('#key-note').textContent.includes('not known')")
        await page.type(text)
        await page.press("Enter")
        await page.until("document.querySelector('#live').textContent.startsWith('live')")
        await page.run("document.querySelector('#send').click()")
        await page.until("document.querySelector('#verdict').innerText.includes('Valid Schema')")
        assert topic.messages[0].attributes["source"] == "orders"
        kept = await page.run("document.documentElement.outerHTML + document.cookie")
        assert text not in kept
        assert await page.run("localStorage.length + sessionStorage.length") == 0
        assert text not in "".join(page.requested)


async def test_a_server_that_drains_queries_no_source(server: InProcessServer) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.get(server.url + "/console/state") as answer,
    ):
        assert answer.status == 200
    server.stop.set()
    await server.serving


@pytest.mark.skipif(browser.CHROMIUM is None, reason=browser.ABSENT)
async def test_problems_of_one_kind_are_a_row_each_however_often_they_are_shown(
    server: InProcessServer,
) -> None:
    silent = {"runbook": "GatekeeperProcessSilent"}
    problems = [{**silent, "text": f"m:worker_0{number} has been silent"} for number in range(3)]
    shown = "[...document.querySelectorAll('#problem-rows tr')].map(row => row.innerText)"
    async with Browser() as chromium, chromium.page() as page:
        await page.open(server.url + "/")

        async def show(wrong: list[dict[str, str]]) -> list[str]:
            state = json.dumps({"problems": wrong, "sources": {}, "processes": []})
            rows: list[str] = await page.run(f"(() => {{showProblems({state}); return {shown}}})()")
            return rows

        for _ in range(3):
            rows = await show(problems)
            assert len(rows) == 3
            assert all(each["text"] in row for each, row in zip(problems, rows, strict=True))
        assert await show(problems[1:]) == rows[1:]
        assert await show([]) == []
        assert await page.run("document.querySelector('#problems').hidden")
