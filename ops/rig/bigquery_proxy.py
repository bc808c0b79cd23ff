"""A proxy in front of BigQuery that injects the faults of a network and of the service.

Requests and answers pass unchanged: headers, compression, bodies. A request is parsed only while a
fault is active that depends on its content.
"""

import asyncio
import contextlib
import io
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from ops.rig import bigquery_answers as answers
from ops.rig.bigquery_answers import CancelledJobs
from ops.rig.fault_proxy import FaultProxy

DELAY_SECONDS = 0.6
"""The longest pause of one request, half of it before and half after it is forwarded."""
LOSE_WITHIN_SECONDS = 0.15
"""The client's connection is closed at most so long after its job was forwarded: as long as a small
job takes."""

# The local service closes an idle connection after 5 seconds; no request may meet that.
_IDLE_SECONDS: Final = 2.0
_CHUNK_BYTES: Final = 256 * 1024
# https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1: headers of one connection.
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"}
    | {"upgrade"}
)
_STATUSES: Final = ("too_many", "internal", "unavailable")
_MAYBE_DONE: Final = frozenset({"internal", "unavailable"})


class _ConnectionLost(Exception):
    """The client's connection is closed; there is nobody to answer."""


class BigQueryProxy(FaultProxy):
    """The fault proxy in front of BigQuery.

    `internal` and `unavailable` hit a new job before or after the service has accepted it: after
    such an answer a client must ask for the job,
    https://cloud.google.com/bigquery/docs/error-messages. `late` holds a transaction's job for
    `late_seconds`, then forwards it, whether its client still waits or not.
    """

    FAULTS = ("delay", "refuse", "reset", *_STATUSES, "conflict", "lose_commit", "late")

    def __init__(
        self, listen: str, upstream: str, late_seconds: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        super().__init__(listen, upstream)
        self._late_seconds = late_seconds
        self._late_workers: asyncio.Queue[str] = asyncio.Queue()
        self._cancelled = CancelledJobs()
        self._abandoned: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        """Serve; raises OSError when the address is not available."""
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None),  # the client has its own
        )
        server = web.Server(
            self._handle, request_factory=_request, auto_decompress=False, access_log=None
        )
        # Late jobs need not be waited for.
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        await self.front.open(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Reset every connection and close the port."""
        await self.front.stop()
        for task in self._abandoned:
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        pause = self._delay(DELAY_SECONDS) / 2
        await asyncio.sleep(pause)
        try:
            return await self._answer(request, pause)
        except (_ConnectionLost, aiohttp.ClientError, OSError):
            # The service is gone, or the fault pretends that: close this connection too.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _answer(self, request: web.BaseRequest, pause: float) -> web.StreamResponse:
        if known := self._cancelled.answer(request.method, request.path):
            await request.read()
            return known
        new_job = request.method == "POST" and request.path.endswith("/jobs")
        for fault in _STATUSES:
            if self._hit(fault):
                if new_job and fault in _MAYBE_DONE and self._random.random() < 1 / 2:
                    await self._discard(request)
                else:
                    await request.read()
                return answers.failure(fault)
        if new_job and (answer := await self._conflict(request)):
            return answer
        if new_job and self._hit("lose_commit"):
            await self._lose(request)
        if new_job and self._active["late"]:
            await self._hold(request)
        return await self._forward(request, pause)

    async def next_late_worker(self) -> str:
        """Wait for the next job that `late` holds; return the `worker` in its labels."""
        while not self._late_workers.empty():
            self._late_workers.get_nowait()
        return await self._late_workers.get()

    async def _hold(self, request: web.BaseRequest) -> None:
        job = answers.transaction(answers.plain(await request.read(), request.headers))
        if job is None or not self._hit("late"):
            return
        labels = job["configuration"].get("labels", {})
        self._late_workers.put_nowait(labels.get("worker", ""))
        await asyncio.sleep(self._random.uniform(*self._late_seconds))

    async def _conflict(self, request: web.BaseRequest) -> web.Response | None:
        """Answer a new job as cancelled when `conflict` hits it, or hit that job id before."""
        if not (self._cancelled.jobs or self._active["conflict"]):
            return None
        body = answers.plain(await request.read(), request.headers)
        if taken := self._cancelled.taken(request.path, body):
            return taken
        job = answers.transaction(body) if self._active["conflict"] else None
        if job is None or not self._hit("conflict"):
            return None
        return self._cancelled.cancel(request.path, job)

    def _call(
        self, request: web.BaseRequest, body: bytes
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        assert self._session is not None, "not started"  # noqa: S101 - `start` comes first
        return self._session.request(
            request.method,
            URL(f"http://{self._upstream}{request.raw_path}", encoded=True),
            data=io.BytesIO(body) if body else None,  # aiohttp objects to large bytes
            headers=_end_to_end(request.headers),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            allow_redirects=False,
        )

    async def _forward(self, request: web.BaseRequest, pause: float) -> web.StreamResponse:
        body = await request.read()
        async with self._call(request, body) as answer:
            await asyncio.sleep(pause)
            response = web.StreamResponse(
                status=answer.status, reason=answer.reason, headers=_end_to_end(answer.headers)
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _discard(self, request: web.BaseRequest) -> None:
        """Forward a request and discard its answer."""
        async with self._call(request, await request.read()) as answer:
            await answer.read()

    async def _lose(self, request: web.BaseRequest) -> None:
        """Forward a job and close its client's connection, before or after the answer."""
        await request.read()
        work = asyncio.create_task(self._discard(request), name="abandoned")
        self._abandoned.add(work)
        work.add_done_callback(self._abandoned.discard)
        work.add_done_callback(lambda done: done.cancelled() or done.exception())
        early = self._random.random() < 1 / 2
        patience = self._random.uniform(0.02, LOSE_WITHIN_SECONDS) if early else None
        await asyncio.wait({work}, timeout=patience)
        raise _ConnectionLost


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """Return a request as aiohttp makes it, but of any size."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=0)


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP
    )
