"""A server that stops loses no request that a client could rightly send."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from ops.commands.provision import subscriptions
from ops.fleet.config import ROOT
from ops.rig import Service, eventually, free_port
from ops.runtime.settings import Settings
from server import lifecycle
from tests.support.server_in_process import (
    NOWHERE,
    RAW_POST,
    VALID,
    FakeTopic,
    InProcessServer,
    ledger_seen,
)

REQUEST = RAW_POST + b"Content-Length: %d\r\n\r\n" % len(VALID) + VALID
CLIENTS = 16


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read one answer: its head and its body."""
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head, await reader.readexactly(length)


async def test_an_open_connection_is_answered_once_more_with_connection_close(
    server: InProcessServer,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST)
    head, _ = await answer(reader)
    assert b"Connection: close" not in head

    server.stop.set()
    await eventually(lambda: _refused(server.port))
    writer.write(REQUEST)
    head, body = await answer(reader)

    assert head.startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in head
    assert json.loads(body)["message"] == "Valid Schema"
    assert await reader.read() == b""
    writer.close()
    await asyncio.wait_for(server.serving, 60)


async def _refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return True
    writer.close()
    return False


async def test_a_request_under_way_is_finished_and_published(server: InProcessServer) -> None:
    server.topic.open.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST)
    await eventually(lambda: server.topic.under_way)

    server.stop.set()
    await eventually(lambda: _refused(server.port))
    server.topic.open.set()

    head, _ = await answer(reader)
    assert head.startswith(b"HTTP/1.1 200")
    writer.close()
    await asyncio.wait_for(server.serving, 60)
    assert len(server.topic.messages) == 1


async def test_a_body_that_still_comes_in_is_waited_for(server: InProcessServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST[:-20])
    await asyncio.sleep(0)
    await server.get("/healthz")
    server.stop.set()
    for byte in REQUEST[-20:]:  # for longer than a silent connection is borne
        await asyncio.sleep(0.03)
        writer.write(bytes([byte]))

    head, _ = await answer(reader)
    assert head.startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_silent_connection_does_not_hold_the_server_up(
    server: InProcessServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "DRAIN_SECONDS", 600.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    server.stop.set()

    await asyncio.wait_for(server.serving, 60)
    assert await reader.read() == b""
    writer.close()


async def test_not_ready_while_draining(server: InProcessServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    server.stop.set()
    await eventually(lambda: _refused(server.port))
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")

    head, _ = await answer(reader)
    assert head.startswith(b"HTTP/1.1 503")
    writer.close()


async def test_a_client_that_leaves_does_not_take_its_transaction_back(
    server: InProcessServer, topic: FakeTopic
) -> None:
    topic.open.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST)
    await eventually(lambda: topic.under_way)
    writer.transport.abort()
    await server.get("/healthz")

    topic.open.set()
    await eventually(lambda: topic.messages)


async def test_a_client_that_leaves_in_its_body_disturbs_no_one(server: InProcessServer) -> None:
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(REQUEST[:-5])
        await server.get("/healthz")
        writer.transport.abort()
    assert (await server.post(VALID))[0] == 200
    assert len(server.topic.messages) == 1


class Siblings:
    """Server processes that share one listening socket, as supervisord starts them."""

    def __init__(self, listener: socket.socket, log: Path, **variables: str) -> None:
        self._listener = listener
        self._log = log.open("wb")
        self._path = log
        self._environ = {**os.environ, **variables}
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def log(self) -> str:
        return self._path.read_text(errors="replace")

    def started(self) -> int:
        return self.log.count('"server_started"')

    def start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "server"],
            cwd=ROOT,
            env=self._environ,
            stdin=self._listener.fileno(),
            stdout=self._log,
            stderr=self._log,
        )
        self._processes.append(process)
        return process

    async def restart(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 60)
        assert process.returncode == 0, self.log[-2000:]
        before = self.started()
        started = self.start()
        await eventually(lambda: self.started() > before, what="a new server serves")
        return started

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._log.close()


@pytest.fixture
async def pubsub(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """A durable local Pub/Sub with the server's topic; the settings that lead there."""
    variables = {
        "PROJECT_ID": "",
        "STATE_DIR": str(tmp_path),
        "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{free_port()}",
        "PUSHGATEWAY_PROMETHEUS_HOST": NOWHERE,
    }
    with Service.module("ops.local.pubsub", **variables) as service:
        service.wait_for_port(variables["PUBSUB_EMULATOR_HOST"])
        settings = Settings.parse(variables)
        ledger_seen(settings)
        await subscriptions.ensure(settings)
        yield variables


@pytest.fixture
def siblings(pubsub: dict[str, str], tmp_path: Path) -> Iterator[tuple[Siblings, int]]:
    with contextlib.closing(lifecycle.open_listener("127.0.0.1", 0)) as listener:
        family = Siblings(listener, tmp_path / "servers.log", **pubsub)
        try:
            yield family, listener.getsockname()[1]
        finally:
            family.end()


async def test_restarts_under_keep_alive_load_lose_no_request(
    siblings: tuple[Siblings, int],
) -> None:
    family, port = siblings
    one, other = family.start(), family.start()
    await eventually(lambda: family.started() == 2, what="both serve")
    done = asyncio.Event()
    answered = 0

    async def load() -> None:
        nonlocal answered
        # A pool that clients share may keep a connection silent for longer than a drain bears.
        async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
            while not done.is_set():
                async with session.post(url, data=VALID) as got:
                    assert got.status == 200, await got.text()
                    answered += 1

    url = f"http://127.0.0.1:{port}/api/activities"
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(load())
        one = await family.restart(one)
        other = await family.restart(other)
        await family.restart(one)
        done.set()
    assert answered > 100
