"""Reads supervisord.conf, with the parser of supervisord itself."""

import sys
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Self

from supervisor.options import EventListenerConfig, ServerOptions

from ops.runtime import addresses
from ops.runtime.fleet_files import supervisord_conf

ROOT = Path(__file__).resolve().parents[2]
# The kernel's limit is 107 bytes; supervisord binds `<file>.<pid>` first, then links it.
LONGEST_SOCKET_PATH = 107 - len(".4194304")


def _log(process: Any) -> Path:
    """Return a process's log: the standard output of an event listener is its protocol."""
    listens = isinstance(process, EventListenerConfig)
    return Path(process.stderr_logfile if listens else process.stdout_logfile)


class ConfiguredProcess(NamedTuple):
    """One process of supervisord.conf."""

    group: str
    name: str
    log: Path


class _OneLineOptions(ServerOptions):  # type: ignore[misc]  # untyped
    """supervisord's own parser; a fault ends the process with one line, without its usage."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def usage(self, msg: object) -> NoReturn:
        text = " ".join(str(msg).replace(str(self._file), "").split())
        sys.exit(f"{self._file} (SUPERVISORD_CONF) cannot be used: {text}")


class FleetConfig(NamedTuple):
    """`address` is the server's listening socket, `host:port`; `socket` is supervisord's own.

    `processes` are as many as SERVERS and WORKERS say.
    """

    file: Path
    address: str
    socket: Path
    pid_file: Path
    log: Path
    processes: tuple[ConfiguredProcess, ...]

    @property
    def reachable(self) -> str:
        """The address to connect to, also when the server listens on 0.0.0.0 or [::]."""
        return addresses.reachable(self.address)

    def log_of(self, name: str) -> Path:
        """Return the log of a process, also of one added by scaling."""
        for program in self.processes:
            if program.name == name:
                return program.log
        return self.log.with_name(f"{name}.log")

    @property
    def supervisord_pid(self) -> int:
        """The process of the fleet's supervisord. Raises FileNotFoundError when it has ended."""
        return int(self.pid_file.read_text())

    @property
    def serves(self) -> bool:
        """Whether this machine has servers, and so listens at `address`."""
        return any(each.group == "server" for each in self.processes)

    @classmethod
    def read(cls, file: Path | None = None) -> Self:
        """Read a configuration: SUPERVISORD_CONF of the environment, or this repository's.

        Ends the process with one line and exit status 1 if it cannot be read.
        """
        file = (file or supervisord_conf()).resolve()
        options = _OneLineOptions(file)
        options.progname = "supervisord"
        options.realize(["-c", str(file)])
        sockets = [
            group.socket_config.addr()
            for group in options.process_group_configs
            if group.name == "server"
        ]
        files = [each["file"] for each in options.server_configs if "file" in each]
        if not sockets or not files:
            options.usage("it has no [fcgi-program:server] or no [unix_http_server]")
        host, port = sockets[0]
        return cls(
            file=file,
            address=addresses.join(host, port),
            socket=Path(files[0]),
            pid_file=Path(options.pidfile),
            log=Path(options.logfile),
            processes=tuple(
                ConfiguredProcess(group.name, process.name, _log(process))
                for group in options.process_group_configs
                for process in group.process_configs
            ),
        )
