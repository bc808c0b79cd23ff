"""The listening socket: the one inherited as fd 0 from supervisord, or one of our own."""

import os
import socket
import stat

BACKLOG = 2_048


class CannotListen(OSError):
    """Nobody can listen there now; the text says where and why."""


def inherited() -> socket.socket | None:
    """Take over fd 0 where it is a listening socket, as an fcgi-program's is; else None."""
    try:
        if not stat.S_ISSOCK(os.fstat(0).st_mode):
            return None
        listener = socket.socket(fileno=os.dup(0))
    except OSError:  # no fd 0 at all
        return None
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.close()
        return None
    # When this process closes its listener, no second copy may hold the socket open.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return listener


def opened(host: str, port: int) -> socket.socket:
    """Listen at an address of our own. Raises CannotListen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise CannotListen(f"cannot listen on port {port} of {host}: {error.strerror}") from None
    return listener
