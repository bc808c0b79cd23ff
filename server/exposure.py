"""Who may reach the server: without API keys it serves this machine alone."""

import ipaddress
import socket

from ops.runtime.settings import Settings


class Exposed(Exception):
    """Anybody could publish; the text says what to do about it."""


def check(settings: Settings, listener: socket.socket) -> None:
    """Raise Exposed when strangers reach the socket and no key is asked of them."""
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
