"""The TCP front of a fault proxy: forwards connections, refuses them, resets them.

Each proxy serves its protocol on a loopback port; clients connect to this front. So a refused
connection is refused by the kernel and a reset one gets a real RST, which the protocols' libraries
cannot do.
"""

import asyncio
import contextlib
import socket
import struct

from ops.runtime import addresses

# https://man7.org/linux/man-pages/man7/socket.7.html: on, zero seconds: close sends RST.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_CHUNK_BYTES = 256 * 1024


class TcpFront:
    """Listens at `listen` ("host:port") and forwards every connection to a loopback port."""

    def __init__(self, listen: str) -> None:
        self.address = addresses.split(listen)
        self._target = 0
        self._server: asyncio.Server | None = None
        self._placeholder: socket.socket | None = None
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def open(self, target_port: int | None = None) -> None:
        """Accept connections; raises OSError when the address is not available."""
        self._target = target_port or self._target
        if self._server is None:
            self._server = await asyncio.start_server(self._forward, *self.address)
        self._release()

    def close(self) -> int:
        """Refuse connections and reset the existing ones; return how many were reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._hold_port()
        return self.reset_all()

    async def stop(self) -> None:
        """Close permanently."""
        self.close()
        tasks = [task for task in self._clients.values() if task]
        await asyncio.gather(*tasks, return_exceptions=True)
        self._release()

    def reset_all(self) -> int:
        """Reset every connection; return how many there were."""
        clients = list(self._clients)
        for client in clients:
            _reset(client)
        return len(clients)

    def _hold_port(self) -> None:
        """Bind the port without listening, so that nobody else gets it.

        A client that connects to a free port of its machine may get that very port as its own end:
        https://man7.org/linux/man-pages/man7/ip.7.html, ip_local_port_range.
        """
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        self._placeholder = socket.socket(family, socket.SOCK_STREAM)
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            self._placeholder.bind(self.address)

    def _release(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None

    async def _forward(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self._clients[client] = asyncio.current_task()
        ends = [client]
        try:
            answers, target = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(target)
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, target))
                both.create_task(_copy(answers, client))
        except* OSError:
            for end in ends:
                _reset(end)
        finally:
            del self._clients[client]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection immediately, with an RST."""
    if not writer.transport.is_closing():
        peer = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
