"""Ports: which are free, and which process listens on one."""

import contextlib
import socket

import psutil

from ops.runtime import addresses


def free(host: str, port: int) -> bool:
    """Return whether a process could listen on this port now."""
    with socket.socket(addresses.family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Return different ports on which no process listens now."""
    with contextlib.ExitStack() as open_sockets:
        ports = []
        for _ in range(count):
            listener = open_sockets.enter_context(socket.socket(addresses.family(host)))
            listener.bind((host, 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


def listening(address: str) -> bool:
    """Return whether something accepts connections at `host:port`."""
    try:
        socket.create_connection(addresses.split(address), timeout=1).close()
    except OSError:
        return False
    return True


def owner(port: int) -> str:
    """Describe the process that listens on a port, if this user may see it."""
    with contextlib.suppress(psutil.Error):
        for each in psutil.net_connections("tcp"):
            local = each.laddr and each.laddr.port == port
            if local and each.pid and each.status == psutil.CONN_LISTEN:
                command = " ".join(psutil.Process(each.pid).cmdline())
                return f"process {each.pid} ({command[:80]})"
    return "another process"
