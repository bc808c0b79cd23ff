"""aiohttp's connection, with our limits, whose answers to broken HTTP are verdicts as well."""

import asyncio
from typing import Final

from aiohttp import web

from ops.runtime import log
from server.api import responses as kinds
from server.api import verdict
from server.api.verdict import Fault

IDLE_SECONDS: Final = 75.0
"""An idle connection's life, and the longest that a request's head may take."""

# How long aiohttp reads on, and throws away, a body that was refused: closing at once could reset
# the connection before the client has read its answer.
_LINGER_SECONDS = 2.0

logger = log.get(__name__)


class Connection(web.RequestHandler):
    """One client's connection."""

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=_LINGER_SECONDS,
            auto_decompress=False,  # it knows no limit: server.body decompresses
            access_log=None,  # type: ignore[arg-type]  # server.gate writes it
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what came to no handler, broken HTTP for the most part, and close."""
        if request.writer.output_size > 0:  # as aiohttp has it: an answer has begun
            raise ConnectionError("the answer was broken off")
        logger.warning("bad_http", status=status, error=type(exc).__name__)
        why = (message or "").partition("\n")[0] or "the request could not be read"
        kind = kinds.BAD_REQUEST if status == 400 else kinds.INTERNAL  # noqa: PLR2004
        response = verdict.refusal(kind, Fault("http", why)).response()
        response.force_close()
        return response
