"""Accepts connections from the listening socket, several in one turn of the event loop.

uvloop accepts one a turn (https://github.com/libuv/libuv/pull/3696). Under load, a turn answers all
requests that have arrived, a tenth of a second's work, and new clients would wait for
seconds: of 512 connections, the last was accepted after four.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

from ops.runtime import log

CONNECTIONS_A_TURN: Final = 64
"""The rest may go to a sibling on the same socket."""

PAUSE_SECONDS: Final = 1.0
"""How long to pause when there are no more file descriptors, as asyncio does."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

logger = log.get(__name__)


class Acceptor:
    """Accepts connections until close(); `protocol_factory` makes each connection's protocol."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        protocol_factory: Callable[[], asyncio.Protocol],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._protocol_factory = protocol_factory
        self._opening: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None
        listener.settimeout(0)
        self._resume()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(CONNECTIONS_A_TURN):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    logger.exception("cannot_accept")
                    self._loop.remove_reader(self._listener)
                    self._pause = self._loop.call_later(PAUSE_SECONDS, self._resume)
                    return
                continue  # the client has closed it
            opening = self._loop.create_task(self._open(connection), name="accept")
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        try:
            await self._loop.connect_accepted_socket(self._protocol_factory, connection)
        except OSError:  # closed in the meantime
            connection.close()

    def close(self) -> None:
        """Stop accepting, and close this process's copy of the socket."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
