"""Addresses as text, `host:port`; an IPv6 host is in brackets, `[::1]:8085`."""

import socket

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # read, not bound


def split(address: str) -> tuple[str, int]:
    """Return host and port, as the socket module takes them: without brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reachable(address: str) -> str:
    """Return the address to connect to, also for a server that listens on every address."""
    host, port = split(address)
    return join(_ANY_ADDRESS.get(host, host), port)


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
