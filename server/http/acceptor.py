"""Takes connections off the listening socket, many in one turn of the loop.

uvloop takes one a turn (https://github.com/libuv/libuv/pull/3696). Under load a turn answers every
request that has come in, a tenth of a second's work, and a crowd of new clients would wait for
seconds: with 512 connections the last was let in after four.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

from ops.runtime import log
from server.listen import BACKLOG

AT_ONCE: Final = 64
"""Connections in one turn; what is left may go to a sibling on the same socket."""

REST_SECONDS: Final = 1.0
"""How long to leave the socket alone when there are no more file descriptors, as asyncio does."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

logger = log.get(__name__)


class Acceptor:
    """Accepts from its making until `close`. `make` gives the protocol of a connection."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        make: Callable[[], asyncio.Protocol],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._make = make
        self._opening: set[asyncio.Task[object]] = set()
        self._rest: asyncio.TimerHandle | None = None
        # Again, as supervisord opens it with a short queue.
        listener.listen(BACKLOG)
        listener.settimeout(0)
        self._begin()

    def _begin(self) -> None:
        self._rest = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    logger.exception("cannot_accept")
                    self._loop.remove_reader(self._listener)
                    self._rest = self._loop.call_later(REST_SECONDS, self._begin)
                    return
                continue  # the client has gone already
            opening = self._loop.create_task(self._open(connection), name="accept")
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        try:
            await self._loop.connect_accepted_socket(self._make, connection)
        except OSError:  # gone in the meantime
            connection.close()

    def close(self) -> None:
        """Accept no more, and close this process's copy of the socket."""
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
