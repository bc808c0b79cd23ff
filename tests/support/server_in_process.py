"""The server in the test's own loop, on a real socket, with a topic that the test commands."""

import asyncio
import contextlib
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import grpc

from ops.runtime.metrics import REQUESTS
from ops.runtime.settings import Settings
from server import lifecycle
from server.app import create_app
from server.http import BODY_SECONDS, IN_FLIGHT, SECONDS, InFlight
from server.http.connection import WRITE_SECONDS
from server.publish import Destination

INSERT: dict[str, Any] = {
    "operation": "insert",
    "table": "t1",
    "col_names": ["a", "b"],
    "col_types": ["INTEGER", "TEXT"],
    "col_values": [1, "x"],
}
VALID = b'{"activities": [%b]}' % json.dumps(INSERT).encode()
RAW_POST = b"POST /api/activities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
"""The head of a request, to be continued."""

NOWHERE = "127.0.0.1:9"  # the discard port: nothing here listens on it


def ledger_seen(settings: Settings) -> None:
    """Let the servers of these settings start without a BigQuery, as after a restart."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    mark = f"{settings.dataset_path} {settings.lanes}"
    (settings.state_dir / "ledger-seen").write_text(mark)


def rpc_error(code: grpc.StatusCode, details: str = "as the test asks") -> grpc.aio.AioRpcError:
    """Return what a failed call raises."""
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(code, nothing, nothing, details)


class FakeTopic:
    """Keeps the published messages, call by call; fails and waits as the test asks."""

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.errors: list[BaseException] = []
        """Raised by the next calls, one each."""
        self.refused: set[bytes] = set()
        """Data that makes a call fail as an invalid argument."""
        self.open = asyncio.Event()
        """While it is not set, calls wait."""
        self.open.set()
        self.under_way: list[str] = []
        """The ordering keys of the calls in flight now."""
        self.checks = 0
        self.check_error: BaseException | None = None

    async def publish(self, messages: Sequence[Any], timeout: float) -> None:  # noqa: ASYNC109
        keys = {message.ordering_key for message in messages}
        assert len(keys) == 1, "Pub/Sub takes one ordering key in a call"
        assert timeout > 0
        (key,) = keys
        assert key not in self.under_way, "one key's messages are in two calls at the same time"
        self.under_way.append(key)
        try:
            await self.open.wait()
            await asyncio.sleep(0)
            if self.errors:
                raise self.errors.pop(0)
            if self.refused & {message.data for message in messages}:
                raise rpc_error(grpc.StatusCode.INVALID_ARGUMENT)
            self.calls.append(list(messages))
        finally:
            self.under_way.remove(key)

    async def check(self, timeout: float) -> None:  # noqa: ASYNC109
        assert timeout > 0
        self.checks += 1
        if self.check_error is not None:
            raise self.check_error

    @property
    def messages(self) -> list[Any]:
        """All that has been published, in order."""
        return [message for call in self.calls for message in call]


class InProcessServer:
    """A serving application, its address and a client."""

    def __init__(self, topic: FakeTopic, listener: socket.socket) -> None:
        self.topic = topic
        self.port: int = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.stop = asyncio.Event()
        self.in_flight: InFlight
        self.serving: asyncio.Task[None]
        self.client: aiohttp.ClientSession

    async def post(
        self, body: bytes | None, path: str = "/api/activities", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """POST a body as JSON; `Content_Type` and the like are headers, an empty type is left out.

        Return status and verdict.
        """
        headers = {"Content_Type": "application/json", **headers}
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        skipped = set()
        if not named["Content-Type"]:
            skipped.add("Content-Type")
            del named["Content-Type"]
        async with self.client.post(
            self.url + path, data=body, headers=named, skip_auto_headers=skipped
        ) as answer:
            return answer.status, await self.verdict(answer)

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """GET a path; return status and verdict."""
        async with self.client.get(self.url + path) as answer:
            return answer.status, await self.verdict(answer)

    @staticmethod
    async def verdict(answer: aiohttp.ClientResponse) -> dict[str, Any]:
        """Return the verdict of an answer, which always is one."""
        assert answer.content_type == "application/json"
        verdict: dict[str, Any] = json.loads(await answer.read())
        shape = [key for key in verdict if key not in {"truncated", "faults_seen", "degraded"}]
        assert shape == ["status", "message", "error", "id", "payload"]
        assert verdict["status"] == answer.status
        return verdict

    @property
    def requests(self) -> int:
        """The requests of all servers of this process, so far."""
        return int(sum(each.value for each in next(iter(REQUESTS.collect())).samples))

    async def raw(self, text: bytes) -> bytes:
        """Write bytes on a connection of their own; return all that comes until it is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(text)
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def in_process_server(
    topic: FakeTopic,
    body_seconds: float = BODY_SECONDS,
    write_seconds: float = WRITE_SECONDS,
    /,
    **settings: str,
) -> AsyncIterator[InProcessServer]:
    """Serve with these settings for the length of the block."""
    folder = tempfile.TemporaryDirectory()
    own = {"STATE_DIR": folder.name, "CONTRACTS_DIR": f"{folder.name}/none"}
    parsed = Settings.parse({"PUSHGATEWAY_PROMETHEUS_HOST": NOWHERE, **own, **settings})

    @contextlib.asynccontextmanager
    async def connect(_: Settings) -> AsyncIterator[Destination]:
        yield topic

    listener = lifecycle.open_listener("127.0.0.1", 0)
    server = InProcessServer(topic, listener)
    app = create_app(parsed, connect, body_seconds=body_seconds)
    app[SECONDS] = app[SECONDS]._replace(write=write_seconds)
    server.in_flight = app[IN_FLIGHT]
    server.serving = asyncio.create_task(
        lifecycle.serve(app, listener, server.stop, idle_grace=0.3)
    )
    try:
        # Its socket takes connections before it serves; a test may be quicker than its start.
        await server.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        async with aiohttp.ClientSession() as server.client:
            yield server
    finally:
        topic.open.set()
        server.stop.set()
        await server.serving
        folder.cleanup()
