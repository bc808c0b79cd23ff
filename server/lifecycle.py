"""The life of a server process: get the listening socket, serve, drain.

To drain: close this process's copy of the listening socket, so that new connections go to its
siblings; answer the requests of open connections with `Connection: close`; stop when no connection
is left, when those left have been silent for IDLE_GRACE_SECONDS, or after DRAIN_SECONDS.
"""

import asyncio
import ipaddress
import os
import socket
import stat
from typing import Final

from aiohttp import web

from ops.runtime import log
from ops.runtime.settings import Settings
from server.http import IN_FLIGHT, RENDER_REFUSAL, SECONDS, Acceptor, Connection

LISTEN_BACKLOG: Final = 2_048

IDLE_GRACE_SECONDS: Final = 5.0
"""How long a silent connection stays open: a client in a stream of requests returns well within."""

DRAIN_SECONDS: Final = 13.0
"""The longest drain of the connections. Together with aiohttp's clean-up (2 s), the publisher's
drain (11 s) and the last push of the metrics (3 s) it is below supervisord's stopwaitsecs of 30."""

_POLL_SECONDS = 0.05

logger = log.get(__name__)


class CannotListen(OSError):
    """The address cannot be listened on; the text names it and the reason."""


class Exposed(Exception):
    """Other machines can reach a server without API keys; the text names the ways out."""


def inherited_listener() -> socket.socket | None:
    """Take over fd 0 if it is a listening socket, as supervisord's fcgi-program passes it."""
    try:
        if not stat.S_ISSOCK(os.fstat(0).st_mode):
            return None
        listener = socket.socket(fileno=os.dup(0))
    except OSError:  # there is no fd 0
        return None
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.close()
        return None
    # When this process closes its listener, no second copy may hold the socket open.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return listener


def open_listener(host: str, port: int) -> socket.socket:
    """Listen at an address. Raises CannotListen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(LISTEN_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise CannotListen(f"cannot listen on port {port} of {host}: {error.strerror}") from None
    return listener


def check_exposure(settings: Settings, listener: socket.socket) -> None:
    """Raise Exposed if other machines reach the socket and the settings ask for no API key."""
    if settings.api_keys_file is not None or settings.allow_anonymous:
        return
    host, port = listener.getsockname()[:2]
    if listener.family == socket.AF_UNIX or ipaddress.ip_address(host).is_loopback:
        return
    raise Exposed(
        f"refusing to serve on {host}:{port}, which other machines reach, without API keys: set "
        "API_KEYS_FILE (gatekeeper apikey create NAME), listen on 127.0.0.1, or set "
        "ALLOW_ANONYMOUS=1"
    )


async def serve(
    app: web.Application,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    idle_grace: float = IDLE_GRACE_SECONDS,
) -> None:
    """Serve until `stop` is set, drain, and return when the last connection is closed."""
    loop = asyncio.get_running_loop()
    # A second for what is still unanswered after the drain.
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    server = runner.server
    assert server is not None  # noqa: S101  # setup() made it
    try:
        listener.listen(LISTEN_BACKLOG)  # again: supervisord opens it with a short queue
        render = app[RENDER_REFUSAL]
        limits = app[IN_FLIGHT].body_bytes, app[SECONDS]
        acceptor = Acceptor(loop, listener, lambda: Connection(server, loop, render, *limits))
        host, port = listener.getsockname()[:2]
        logger.info("server_started", host=host, port=port)
        await stop.wait()
        acceptor.close()
        app[IN_FLIGHT].draining = True
        logger.info("server_draining", connections=len(server.connections))
        await _drain(server, app, idle_grace)
    finally:
        await runner.cleanup()
    logger.info("server_stopped")


async def _drain(server: web.Server, app: web.Application, idle_grace: float) -> None:
    loop = asyncio.get_running_loop()
    began = quiet_since = loop.time()
    requests = server.requests_count
    while server.connections and loop.time() - began < DRAIN_SECONDS:
        await asyncio.sleep(_POLL_SECONDS)
        if app[IN_FLIGHT].count or server.requests_count != requests:
            requests = server.requests_count
            quiet_since = loop.time()
        elif loop.time() - quiet_since >= idle_grace:
            break
    logger.info("server_drained", connections=len(server.connections))
