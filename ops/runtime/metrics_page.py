"""Serves `/metrics` of a machine: the metrics of all its processes, from one of them.

Every process tries. The one with the lock serves, in another thread, so that neither its work
nor a hang of it holds the page up. When it ends, another one takes over at its next push.
"""

import asyncio
import socket
import threading
from typing import Final

from ops.runtime import addresses, log
from ops.runtime.file_lock import FileLock
from ops.runtime.metrics_files import metrics_folder, read_page
from ops.runtime.settings import Settings

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_SECONDS: Final = 2.0
"""From a connection to the end of its answer."""
MAX_CONNECTIONS: Final = 20
_HEAD_BYTES = 16_384

logger = log.get(__name__)


class MetricsPage:
    """The page at METRICS_HOST and METRICS_PORT."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock: FileLock | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._connections = 0

    def serve(self) -> None:
        """Serve from now on, unless a process of this machine does. Raises OSError."""
        if self._thread is not None:
            return
        if self._lock is None:
            folder = metrics_folder(self._settings)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = FileLock(folder / "page.lock")
        if not self._lock.try_exclusive():
            return
        host, port = self._settings.metrics_host, self._settings.metrics_port
        listener = socket.create_server((host, port), family=addresses.family(host))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(self._loop, listener), name="metrics-page", daemon=True
        )
        self._thread.start()
        logger.info("metrics_page_started", host=host, port=port)

    def close(self) -> None:
        """Stop, so that another process may serve."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        if self._lock is not None:
            self._lock.close()

    def _run(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        with listener, asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._listen(listener))

    async def _listen(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._answer, sock=listener, limit=_HEAD_BYTES)
        await self._stop.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= MAX_CONNECTIONS:
                async with asyncio.timeout(REQUEST_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._response(head))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that does not ask, or does not read
        finally:
            self._connections -= 1
            writer.transport.abort()

    def _response(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        status, text = "404 Not Found", "the metrics are at /metrics\n"
        if path == b"/metrics" and method in {b"GET", b"HEAD"}:
            try:
                status, text = "200 OK", read_page(self._settings)
            except OSError as error:
                status, text = "500 Internal Server Error", f"{error}\n"
        body = text.encode()
        lines = (
            f"HTTP/1.1 {status}",
            f"Content-Type: {CONTENT_TYPE}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        return "\r\n".join((*lines, "", "")).encode() + (b"" if method == b"HEAD" else body)
