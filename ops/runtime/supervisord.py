"""Talks to a running supervisord over its unix socket."""

import http.client
import socket
import time
import xmlrpc.client
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self
from xml.parsers.expat import ExpatError

from supervisor.xmlrpc import Faults

TIMEOUT_SECONDS = 5.0

# What a call raises when supervisord is away, or dies while it answers: half an answer is no XML.
_AWAY = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError, ExpatError)


class SupervisordUnreachable(ConnectionError):
    """No supervisord answers at the socket: it is not running, or it hangs."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        self.sock = connection


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self._path = path
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path, self._timeout)
        self._connection = host, connection  # what close() closes
        return connection


class ProcessState(NamedTuple):
    """A process as supervisord sees it; `state` is its word for it (RUNNING, BACKOFF, …)."""

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
    """A client of one supervisord; every call raises `SupervisordUnreachable` when it is away."""

    def __init__(self, path: Path, timeout: float = TIMEOUT_SECONDS) -> None:
        self._path = path
        self._timeout = timeout

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the XML-RPC interface, `supervisor.getState` for example.

        Raises `xmlrpc.client.Fault` when supervisord refuses.
        """
        transport = _UnixTransport(self._path, self._timeout)
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
            try:
                return getattr(proxy, method)(*arguments)
            except _AWAY as error:
                raise SupervisordUnreachable(
                    f"supervisord does not answer at {self._path}: {error}"
                ) from error

    @property
    def up(self) -> bool:
        """Whether it answers."""
        try:
            self.call("supervisor.getPID")
        except SupervisordUnreachable:
            return False
        except xmlrpc.client.Fault:  # it is on its way down, and says so
            return True
        return True

    @property
    def stopping(self) -> bool:
        """Whether it is on its way down: it refuses every question then."""
        try:
            self.call("supervisor.getPID")
        except xmlrpc.client.Fault as fault:
            return bool(fault.faultCode == Faults.SHUTDOWN_STATE)
        except SupervisordUnreachable:
            return False
        return False

    def states(self) -> list[ProcessState]:
        """Return every process, in the order of their names."""
        return [ProcessState.parse(info) for info in self.call("supervisor.getAllProcessInfo")]

    def shut_down(self) -> None:
        """Have it drain and stop everything and end; fine when it does so already."""
        try:
            self.call("supervisor.shutdown")
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.SHUTDOWN_STATE:
                raise

    def wait_until_gone(self, seconds: float) -> bool:
        """Wait until it no longer answers; False when it still does after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.up:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True
