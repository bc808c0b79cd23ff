"""The TCP front of a fault-injecting proxy: passes bytes on, refuses, cuts connections.

Both proxies speak their protocol on a loopback port of their own; what a client connects to is this
front. So a refused connection is the kernel's own refusal and a cut one a real RST, whatever the
protocol's library would rather do.
"""

import asyncio
import contextlib
import socket
import struct
from typing import cast

# https://man7.org/linux/man-pages/man7/socket.7.html: on, zero seconds: close sends RST.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Side(asyncio.Protocol):
    """One end of a pair: what it reads, the other end writes, no faster than that end takes it."""

    def __init__(self, front: "Front", other: "_Side | None") -> None:
        self._front = front
        self.other = other
        self.transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []  # read before the other end was there

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.other is None:
            self._front.accepted(self)

    def join(self, other: "_Side") -> None:
        """Hand on what came before the other end was connected."""
        self.other = other
        for data in self._waiting:
            self.data_received(data)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self._waiting.append(data)
        else:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._front.clients.discard(self)
        if self.other is not None:
            self.other.cut(reset=error is not None)

    def cut(self, *, reset: bool) -> None:
        """Close when all is written, or at once with an RST."""
        if self.transport is None or self.transport.is_closing():
            return
        if reset:
            peer = self.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()
        else:
            self.transport.close()


class Front:
    """Listens at `listen` ("host:port") and passes every connection on to a loopback port."""

    def __init__(self, listen: str) -> None:
        host, _, port = listen.rpartition(":")
        self._address = host.strip("[]"), int(port)
        self._target = 0
        self._server: asyncio.Server | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._placeholder: socket.socket | None = None
        self.clients: set[_Side] = set()

    async def open(self, target_port: int | None = None) -> None:
        """Accept connections; raises OSError where the address cannot be had."""
        self._target = target_port or self._target
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Side(self, None), *self._address)
        self._release()

    async def close(self) -> int:
        """Refuse connections from now on and cut those there are; return how many that were."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._occupy()
        return self.cut_all()

    async def shut(self) -> None:
        """Close for good."""
        await self.close()
        self._release()

    def _occupy(self) -> None:
        """Keep the port, without listening: nobody else gets it, nor can a client meet itself.

        A client that connects to a free port of its own machine may be given that very port as
        its own end: https://man7.org/linux/man-pages/man7/ip.7.html, ip_local_port_range.
        """
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        placeholder = socket.socket(family, socket.SOCK_STREAM)
        placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            placeholder.bind(self._address)
        self._placeholder = placeholder

    def _release(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None

    def cut_all(self) -> int:
        """Cut every connection; return how many there were."""
        for task in self._connecting:
            task.cancel()
        clients = list(self.clients)
        for client in clients:
            client.cut(reset=True)
        return len(clients)

    def accepted(self, client: _Side) -> None:
        """Connect a new client to the target."""
        self.clients.add(client)
        task = asyncio.create_task(self._connect(client), name="front")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, client: _Side) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, inner = await loop.create_connection(
                lambda: _Side(self, client), "127.0.0.1", self._target
            )
        except OSError:
            client.cut(reset=True)
            return
        if client.transport is None or client.transport.is_closing():
            inner.cut(reset=False)
        else:
            client.join(inner)
