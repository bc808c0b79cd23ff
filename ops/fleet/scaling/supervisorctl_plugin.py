"""The plugin in supervisorctl: `scale` and `roll`."""

import configparser
import shlex
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from supervisor.supervisorctl import ControllerPluginBase, LSBInitExitStatuses

from ops.runtime import addresses, direct_http

READY_SECONDS = 60.0


class FleetPlugin(ControllerPluginBase):  # type: ignore[misc]  # supervisor has no types
    name = "fleet"

    def do_scale(self, arg: str) -> None:
        words = shlex.split(arg)
        if len(words) != 2 or not words[1].isdigit():  # noqa: PLR2004  # a name and a number
            return self._misused("scale NAME N, for example: scale worker 6")
        if not self.ctl.upcheck():
            return None
        name, count = words[0], int(words[1])
        try:
            done = self.ctl.get_server_proxy().fleet.scale(name, count)
        except xmlrpc.client.Fault as fault:
            return self._failed(f"scale: {fault.faultString.partition(': ')[2]}")
        for what, names in done.items():
            if names:
                self.ctl.output(f"{what} {', '.join(names)}")
        self.ctl.output(f"{name}: {count}, also after a restart of supervisord")
        return None

    def help_scale(self) -> None:
        self.ctl.output(
            "scale NAME N\tSet the number of processes of a group: adds or drains some.\n"
            "\t\tThe others continue, and the number survives a restart.\n"
            "\t\tscale worker 6"
        )

    def do_roll(self, arg: str) -> None:
        words = shlex.split(arg)
        if len(words) != 1:
            return self._misused("roll NAME, for example: roll server")
        if not self.ctl.upcheck():
            return None
        supervisor = self.ctl.get_supervisor()
        group = [each for each in supervisor.getAllProcessInfo() if each["group"] == words[0]]
        if not group:
            return self._failed(f"roll: no group {words[0]!r}")
        for each in sorted(group, key=lambda info: str(info["name"])):
            try:
                self._restart(supervisor, f"{each['group']}:{each['name']}", each["statename"])
                self._wait_until_ready(each["group"])
            except (xmlrpc.client.Fault, TimeoutError) as error:
                reason = getattr(error, "faultString", error)
                return self._failed(f"roll: {each['name']}: {reason}. The rest was not restarted")
            self.ctl.output(f"{each['name']}: restarted")
        return None

    def help_roll(self) -> None:
        self.ctl.output(
            "roll NAME\tRestart a group's processes, one at a time: the next only when\n"
            "\t\tthe last is ready.\n"
            "\t\troll server"
        )

    def _restart(self, supervisor: Any, name: str, state: str) -> None:
        try:
            if state == "RUNNING":
                supervisor.stopProcess(name)
        finally:  # also after Ctrl-C: the process must not stay stopped
            supervisor.startProcess(name)

    def _wait_until_ready(self, group: str) -> None:
        address = self.ctl.get_server_proxy().fleet.address(group)
        if not address:
            return  # a worker has no socket: RUNNING is enough
        url = f"http://{addresses.reachable(address)}/readyz"
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                with direct_http.open_url(url, 5):
                    return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"/readyz after {READY_SECONDS:g} s: {error}") from error
                time.sleep(0.1)

    def _misused(self, usage: str) -> None:
        self.ctl.output(f"usage: {usage}")
        self.ctl.exitstatus = LSBInitExitStatuses.INVALID_ARGS

    def _failed(self, reason: str) -> None:
        self.ctl.output(f"*** {reason}")
        self.ctl.exitstatus = LSBInitExitStatuses.GENERIC


def _follow_included_socket(options: Any) -> None:
    """Use the socket of the included `socket.conf`: supervisorctl itself reads no included file."""
    given = Path(options.serverurl.removeprefix("unix://"))
    parser = configparser.RawConfigParser()
    parser.read(given.with_name("socket.conf"))
    if parser.has_option("unix_http_server", "file"):
        options.serverurl = "unix://" + parser.get("unix_http_server", "file")


def make(controller: Any) -> FleetPlugin:
    """Supervisorctl calls this once, before it connects."""
    _follow_included_socket(controller.options)
    return FleetPlugin(controller)
