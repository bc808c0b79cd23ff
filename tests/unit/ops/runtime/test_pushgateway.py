import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ops.rig import eventually, free_port
from ops.runtime import metrics
from ops.runtime.pushgateway import Pusher
from ops.runtime.settings import Settings


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[str, list[tuple[str, str]]]]:
    calls: list[tuple[str, str]] = []

    async def record(request: web.Request) -> web.Response:
        assert request.method == "DELETE" or b"valid_payload_count_total" in await request.read()
        calls.append((request.method, request.path))
        return web.Response(status=202 if request.method == "DELETE" else 200)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", record)
    async with TestServer(app) as server:
        yield f"{server.host}:{server.port}", calls


def _pusher(address: str, every: str = "0.1") -> Pusher:
    settings = Settings.parse(
        {"PUSHGATEWAY_PROMETHEUS_HOST": address, "METRICS_PUSH_SECONDS": every}
    )
    return Pusher(settings, "gatekeeper_worker", "web-1:worker_07")


GROUP = "/metrics/job/gatekeeper_worker/instance/web-1:worker_07"


async def test_a_process_pushes_its_own_group_until_its_end_and_then_deletes_it(
    gateway: tuple[str, list[tuple[str, str]]],
) -> None:
    address, calls = gateway

    async with _pusher(address).running():
        await eventually(lambda: len(calls) >= 3)
        running = len(calls)

    assert len(calls) > running + 1  # a last push, with all that was counted
    assert set(calls[:-1]) == {("PUT", GROUP)}
    assert calls[-1] == ("DELETE", GROUP)


async def test_a_dead_pushgateway_costs_a_count_and_nothing_else() -> None:
    before = metrics.PUSH_FAILURES._value.get()

    async with _pusher(f"127.0.0.1:{free_port()}", every="300").running():
        await asyncio.sleep(0)

    assert metrics.PUSH_FAILURES._value.get() > before
