"""IPv6 in the socket line of supervisord.conf, such as `socket=tcp://[::1]:8080`.

supervisor 4.3.0 reads and binds IPv4 addresses and host names only.
"""

import re
import socket
from typing import Any

from supervisor.datatypes import InetStreamSocketConfig
from supervisor.options import ServerOptions

_IPV6 = re.compile(r"tcp://\[(?P<host>[0-9A-Fa-f:.]+)\]:(?P<port>\d+)")


class _Inet6StreamSocketConfig(InetStreamSocketConfig):  # type: ignore[misc]  # supervisor has no types
    def __init__(self, host: str, port: str, **options: Any) -> None:
        super().__init__(host, port, **options)
        self.url = f"tcp://[{self.host}]:{self.port}"

    def create_and_bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(self.addr())
        except OSError:
            listener.close()
            raise
        return listener


def support() -> None:
    """Change supervisor's reader of configurations; may be called again."""
    original = ServerOptions.parse_fcgi_socket
    if original.__module__ == __name__:
        return

    def parse_fcgi_socket(  # noqa: PLR0913, PLR0917  # its signature
        options: Any, text: str, uid: Any, owner: Any, mode: Any, backlog: Any
    ) -> Any:
        found = _IPV6.fullmatch(text)
        if found is None or owner is not None or mode is not None:
            return original(options, text, uid, owner, mode, backlog)
        return _Inet6StreamSocketConfig(found["host"], found["port"], backlog=backlog)

    ServerOptions.parse_fcgi_socket = parse_fcgi_socket
