"""Starts the fleet and waits until a server is ready: the second half of `ops/up`."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from ops.fleet import down, ports
from ops.fleet.config import LONGEST_SOCKET_PATH, FleetConfig
from ops.fleet.startup import ReadinessCheck, StartFailed, StartupMonitor, end_of, relative
from ops.runtime import addresses
from ops.runtime.process import settings_or_exit
from ops.runtime.settings import Settings
from ops.runtime.supervisord import Supervisord, SupervisordUnreachable
from ops.runtime.terminal import write_error, write_line

OLD_FLEET_SECONDS = 40.0  # longer than supervisord's stopwaitsecs
_FIRST = (
    '{"activities": [{"operation": "insert", "table": "greetings", "col_names": ["id", "text"], '
    '"col_types": ["INTEGER", "TEXT"], "col_values": [1, "hello"]}]}'
)


class RequiredPort(NamedTuple):
    """A port that the fleet needs, and where to change it."""

    host: str
    number: int
    remedy: str


def needed_ports(fleet: FleetConfig, settings: Settings) -> list[RequiredPort]:
    """Return the ports that the fleet will listen on."""
    remedies = {}
    if fleet.serves:
        where = f"change the socket line of [fcgi-program:server] in {fleet.file}"
        remedies[fleet.address] = where
    if settings.local:
        for name in (
            "PUBSUB_EMULATOR_HOST",
            "BIGQUERY_EMULATOR_HOST",
            "PUSHGATEWAY_PROMETHEUS_HOST",
        ):
            if address := getattr(settings, name.lower()):
                remedies[address] = f"set {name}=127.0.0.1:PORT in .env"
    if settings.metrics_port:
        page = addresses.join(settings.metrics_host, settings.metrics_port)
        remedies[page] = "set METRICS_PORT=PORT in .env"
    return [RequiredPort(*addresses.split(each), remedy) for each, remedy in remedies.items()]


def check_ports(fleet: FleetConfig, settings: Settings) -> None:
    """Raise `StartFailed` for a port in use.

    If supervisord was killed, the file of its socket still exists and its children are about to
    end: they get the time to drain.
    """
    patience = OLD_FLEET_SECONDS if fleet.socket.exists() else 0.0
    deadline = time.monotonic() + patience
    reported = False
    for port in needed_ports(fleet, settings):
        while not ports.free(port.host, port.number):
            if time.monotonic() >= deadline:
                owner = ports.owner(port.number)
                raise StartFailed(
                    f"port {port.number} is in use by {owner}: stop it, or {port.remedy}"
                )
            if not reported:
                write_line(
                    "waiting for the processes of an earlier fleet, whose supervisord was killed"
                )
                reported = True
            time.sleep(0.2)


def start(fleet: FleetConfig) -> None:
    """Start supervisord, which daemonizes itself; raise `StartFailed` with its error message."""
    if len(os.fsencode(fleet.socket)) > LONGEST_SOCKET_PATH:
        raise StartFailed(f"the path {fleet.socket} is too long for a unix socket: run ops/up")
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(fleet.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise StartFailed(f"supervisord did not start: {lines[-1] if lines else done.returncode}")


def _start_stopped(supervisord: Supervisord) -> None:
    for state in supervisord.states():
        if state.group in {"server", "worker"} and state.state in {"STOPPED", "FATAL"}:
            write_line(f"starting {state.name}, which was {state.state.lower()}")
            supervisord.call("supervisor.startProcess", f"{state.group}:{state.name}", False)  # noqa: FBT003  # XML-RPC has no keywords


def bring_up(fleet: FleetConfig, settings: Settings) -> None:
    """Start what does not run and wait until it is ready; raises `StartFailed`."""
    supervisord = Supervisord(fleet.socket)
    if supervisord.stopping:
        write_line("the fleet is stopping; waiting for its end")
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            pid = fleet.supervisord_pid
            if not down.wait(pid, OLD_FLEET_SECONDS * 4):
                raise StartFailed(f"supervisord (pid {pid}) does not end")
    if supervisord.up:
        write_line("supervisord is already running")
        _start_stopped(supervisord)
    else:
        check_ports(fleet, settings)
        write_line("starting the fleet")
        start(fleet)
    try:
        StartupMonitor(fleet, supervisord).wait(ReadinessCheck(fleet), write_line)
    except SupervisordUnreachable as error:
        raise StartFailed(
            f"{error}. The end of {relative(fleet.log)}:\n{end_of(fleet.log)}"
        ) from error


def metrics_address(settings: Settings) -> str | None:
    """Return where the metrics are, the Pushgateway or else this machine's page; None: nowhere."""
    if settings.pushgateway_prometheus_host or not settings.metrics_port:
        return settings.pushgateway_prometheus_host
    return addresses.reachable(addresses.join(settings.metrics_host, settings.metrics_port))


def summary(fleet: FleetConfig, settings: Settings) -> str:
    """Return the addresses and folders, and commands to try."""
    mode = f"project {settings.project_id}" if settings.cloud else "local mode"
    url = f"http://{fleet.reachable}/api/activities"
    where = [
        ("machine", settings.instance),
        ("logs", f"{relative(fleet.log.parent)}/*.log"),
    ]
    if metrics := metrics_address(settings):
        where.insert(1, ("metrics", f"http://{metrics}/metrics"))
    if settings.local:
        where.append(("state", f"{settings.state_dir}/"))
    commands = ["gatekeeper status"]
    if fleet.serves:
        where.insert(0, ("gate", url))
        commands = [
            f"curl {url} -H 'Content-Type: application/json' -d '{_FIRST}'",
            'gatekeeper query "SELECT * FROM greetings"',
            *commands,
        ]
    places = "\n".join(f"  {name:8} {place}" for name, place in where)
    lines = "\n".join(f"  {command}" for command in commands)
    return f"""
Gatekeeper is up ({mode}).

{places}

Try it, after `source .venv/bin/activate`:
{lines}"""


def main() -> int:
    # `ops/up | head`: end as any command does; the fleet continues to start.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    settings = settings_or_exit()
    fleet = FleetConfig.read()
    try:
        bring_up(fleet, settings)
    except StartFailed as reason:
        write_error(f"ops/up: {reason}", keep="\n")
        return 1
    except KeyboardInterrupt:
        write_error("\nops/up: no longer waiting; the fleet continues to start", keep="\n")
        return 130
    write_line(summary(fleet, settings), keep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
