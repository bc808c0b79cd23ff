"""Serves an application on a socket until told to stop, and then leaves no client behind.

Leaving: close this process's copy of the listening socket, so that new connections go to its
siblings; answer what comes on open connections with `Connection: close`; go when no connection is
left, when those left have been silent for IDLE_GRACE_SECONDS, or at LEAVE_SECONDS.
"""

import asyncio
import socket
from typing import Final

from aiohttp import web

from ops.runtime import log
from server.http.acceptor import Acceptor
from server.http.connection import Connection
from server.http.middleware import GATE

IDLE_GRACE_SECONDS: Final = 5.0
"""How long a silent connection stays: clients in a stream of requests come back well within it."""

LEAVE_SECONDS: Final = 13.0
"""When to go in any case. With aiohttp's clean-up (2 s), the publisher's drain (11 s) and the last
push of the metrics (3 s) it stays below supervisord's stopwaitsecs of 30."""

_POLL_SECONDS = 0.05

logger = log.get(__name__)


async def serve(
    app: web.Application,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    idle_grace: float = IDLE_GRACE_SECONDS,
) -> None:
    """Serve until `stop` is set, drain, and return when the last connection is closed."""
    loop = asyncio.get_running_loop()
    # What the last moments leave unanswered gets a moment more; `_drained` has waited already.
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    server = runner.server
    assert server is not None  # noqa: S101  # setup() made it
    try:
        accepting = Acceptor(loop, listener, lambda: Connection(server, loop))
        host, port = listener.getsockname()[:2]
        logger.info("server_started", host=host, port=port)
        await stop.wait()
        accepting.close()
        app[GATE].leaving = True
        logger.info("server_leaving", connections=len(server.connections))
        await _drained(server, app, idle_grace)
    finally:
        await runner.cleanup()
    logger.info("server_stopped")


async def _drained(server: web.Server, app: web.Application, idle_grace: float) -> None:
    """Return when whoever is still connected has had the time to finish."""
    loop = asyncio.get_running_loop()
    began = quiet_since = loop.time()
    requests = server.requests_count
    while server.connections and loop.time() - began < LEAVE_SECONDS:
        await asyncio.sleep(_POLL_SECONDS)
        if app[GATE].under_way or server.requests_count != requests:
            requests = server.requests_count
            quiet_since = loop.time()
        elif loop.time() - quiet_since >= idle_grace:
            break
    logger.info("server_drained", connections=len(server.connections))
