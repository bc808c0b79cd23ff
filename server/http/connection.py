"""A client's connection: aiohttp's, with our limits and answers to broken HTTP."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from ops.runtime import log
from server.http.refusal import BAD_REQUEST, INTERNAL, Refusal, RequestFault

IDLE_SECONDS: Final = 75.0
"""How long an idle connection stays open, and the longest that a request's head may take."""

# How long aiohttp reads and discards a refused body: closing immediately could reset the
# connection before the client has read its answer.
_LINGER_SECONDS = 2.0

logger = log.get(__name__)


class Connection(web.RequestHandler):
    """One client's connection; `render` makes the answer to broken HTTP."""

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        render: Callable[[Refusal], web.Response],
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=_LINGER_SECONDS,
            auto_decompress=False,  # it has no limit: server.http.body decompresses
            access_log=None,  # type: ignore[arg-type]  # server.http.middleware logs requests
        )
        self._render = render

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
        response.force_close()
        return response
