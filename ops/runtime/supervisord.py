"""A client of a running supervisord, over its unix socket."""

import http.client
import socket
import xmlrpc.client
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self
from xml.parsers.expat import ExpatError

from supervisor.xmlrpc import Faults

TIMEOUT_SECONDS = 5.0

# If supervisord does not run, or dies while it answers: half an answer is no XML.
_UNREACHABLE = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError, ExpatError)


class SupervisordUnreachable(ConnectionError):
    """No supervisord answers at the socket: it does not run, or it hangs."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self._path = path
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path, self._timeout)
        self._connection = host, connection  # the transport closes it, also after an error
        return connection


class ProcessState(NamedTuple):
    """A process; `state` is supervisord's name for its state (RUNNING, BACKOFF, …)."""

    group: str
    name: str
    state: str
    pid: int
    uptime_seconds: float
    exit_status: int
    description: str

    @classmethod
    def parse(cls, info: Mapping[str, Any]) -> Self:
        """Read one of getAllProcessInfo's structs."""
        running = info["statename"] in {"RUNNING", "STOPPING"}
        return cls(
            group=info["group"],
            name=info["name"],
            state=info["statename"],
            pid=info["pid"],
            uptime_seconds=max(0.0, info["now"] - info["start"]) if running else 0.0,
            exit_status=info["exitstatus"],
            description=info["spawnerr"] or info["description"],
        )


class Supervisord:
    """Every call raises `SupervisordUnreachable` if supervisord does not answer in time."""

    def __init__(self, path: Path, timeout: float = TIMEOUT_SECONDS) -> None:
        self._path = path
        self._timeout = timeout

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the XML-RPC interface, `supervisor.getState` for example.

        Raises `xmlrpc.client.Fault` if supervisord refuses it.
        """
        transport = _UnixTransport(self._path, self._timeout)
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
            try:
                return getattr(proxy, method)(*arguments)
            except _UNREACHABLE as error:
                raise SupervisordUnreachable(
                    f"supervisord does not answer at {self._path}: {error}"
                ) from error

    @property
    def up(self) -> bool:
        return self._fault() is not None

    @property
    def stopping(self) -> bool:
        return self._fault() == int(Faults.SHUTDOWN_STATE)

    def _fault(self) -> int | None:
        """Return the fault code of a call, SUCCESS for none; None if supervisord is unreachable."""
        try:
            self.call("supervisor.getPID")
        except SupervisordUnreachable:
            return None
        except xmlrpc.client.Fault as fault:
            return fault.faultCode
        return int(Faults.SUCCESS)

    def states(self) -> list[ProcessState]:
        return [ProcessState.parse(info) for info in self.call("supervisor.getAllProcessInfo")]

    def shut_down(self) -> None:
        """Start the shutdown: it drains and stops all processes. No error if it has begun."""
        try:
            self.call("supervisor.shutdown")
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.SHUTDOWN_STATE:
                raise
