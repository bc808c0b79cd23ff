"""A client's connection: aiohttp's, with our limits and answers to broken HTTP."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from aiohttp import web

from ops.runtime import log
from server.http.limits import ByteLimit
from server.http.middleware import REQUEST_ID_HEADER, new_request_id
from server.http.refusal import BAD_REQUEST, INTERNAL, Refusal, RequestFault

HEAD_SECONDS: Final = 75.0
"""The longest that the head of a request may take, and a new connection without a request."""

WRITE_SECONDS: Final = 30.0
"""How long a client may read nothing of its answer before its connection is closed."""

UNREAD_BYTES: Final = 16_384
"""How much of an answer may wait to be sent without its request being counted as in flight."""

_WRITE_CHECKS = 6  # in WRITE_SECONDS

# How long aiohttp reads and discards a refused body: closing immediately could reset the
# connection before the client has read its answer.
_LINGER_SECONDS = 2.0

logger = log.get(__name__)


class ConnectionSeconds(NamedTuple):
    """How long a connection waits: for a next request, for its head, for a client that reads."""

    keep_alive: float
    head: float = HEAD_SECONDS
    write: float = WRITE_SECONDS


SECONDS: Final = web.AppKey("connection_seconds", ConnectionSeconds)


class Connection(web.RequestHandler):
    """One client's connection; `render` makes the answer to broken HTTP.

    The bytes of a request's body are counted as in flight until its answer has been sent, but for
    the last UNREAD_BYTES of it: to wait for each small answer costs 5 % of a request.
    """

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        render: Callable[[Refusal], web.Response],
        body_bytes: ByteLimit,
        seconds: ConnectionSeconds,
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=seconds.keep_alive,
            lingering_time=_LINGER_SECONDS,
            auto_decompress=False,  # it has no limit: server.http.body decompresses
            access_log=None,  # type: ignore[arg-type]  # server.http.middleware logs requests
        )
        self._render = render
        self._body_bytes = body_bytes
        self._head_seconds = seconds.head
        self._write_seconds = seconds.write
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._wire: asyncio.Transport
        """The transport, also after aiohttp has closed it: its buffer may not be empty."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast("asyncio.Transport", transport)
        self._wire.set_write_buffer_limits(high=UNREAD_BYTES)
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._waiter is not None and not self._waiter.done():  # the head is not complete
            if self._head_timer is None:
                self._await_head()
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(self._head_seconds, self.force_close)

    def pause_writing(self) -> None:
        super().pause_writing()
        size = self._wire.get_write_buffer_size()
        self._check_writing(size, self._loop.time() + self._write_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_checking()

    def _check_writing(self, last_size: int, deadline: float) -> None:
        """Close the connection when the client has read nothing until `deadline`."""
        size, now = self._wire.get_write_buffer_size(), self._loop.time()
        if size != last_size:
            deadline = now + self._write_seconds
        elif now >= deadline:
            logger.info("client_does_not_read", bytes=size)
            self._wire.abort()
            return
        interval = self._write_seconds / _WRITE_CHECKS
        self._write_timer = self._loop.call_later(interval, self._check_writing, size, deadline)

    def _stop_checking(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_checking()
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer, and only then release the bytes of its request."""
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._body_bytes.release(request)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that reached no handler, mostly broken HTTP, and close."""
        if request.writer.output_size > 0:  # as in aiohttp: an answer has begun
            raise ConnectionError("the answer was broken off")
        logger.warning("bad_http", status=status, error=type(exc).__name__)
        why = (message or "").partition("\n")[0] or "the request could not be read"
        kind = BAD_REQUEST if status == 400 else INTERNAL  # noqa: PLR2004
        response = self._render(Refusal(kind, RequestFault("http", why)))
        response.headers[REQUEST_ID_HEADER] = new_request_id()
        response.force_close()
        return response
