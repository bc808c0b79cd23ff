"""The plugin in supervisord: children run with its own Python, and groups can be scaled.

It also deletes the metrics of processes that have ended.
"""

import os
import sys
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, RPCError

from ops.fleet.scaling import ipv6_socket, process_numbers
from ops.fleet.scaling.groups import CannotScale, GroupScaling
from ops.fleet.scaling.metrics_cleanup import MetricsCleanup
from ops.runtime import addresses

# supervisord imports this before it reads the sections of programs.
ipv6_socket.support()
process_numbers.support()


class FleetInterface:
    """The `fleet.*` methods of supervisord's XML-RPC interface."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord
        self._scaling = GroupScaling(supervisord)

    def address(self, name: str) -> str:
        """Return where a group listens.

        @param string name    The group's name
        @return string        `host:port`, or an empty string if it does not listen
        """
        group = self._supervisord.process_groups.get(name)
        listens = getattr(group.config, "socket_config", None) if group else None
        return addresses.join(*listens.addr()) if listens else ""

    def number(self, name: str) -> int:
        """Return the wanted number of processes of a group: without those that drain.

        @param string name    The group's name, `worker` or `server`
        @return int           The number
        """
        try:
            return self._scaling.number(str(name))
        except CannotScale as error:
            raise RPCError(Faults.INCORRECT_PARAMETERS, str(error)) from error

    def scale(self, name: str, count: int) -> dict[str, list[str]]:
        """Set the number of processes of a group; the others continue.

        @param string name    The group's name, `worker` or `server`
        @param int count      The number
        @return struct        The names of the processes `added` and `draining`
        """
        try:
            return self._scaling.scale(str(name), int(count))
        except CannotScale as error:
            raise RPCError(Faults.INCORRECT_PARAMETERS, str(error)) from error


def make(supervisord: Any) -> FleetInterface:
    """Supervisord calls this once, before it starts any process."""
    here = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != here:
        os.environ["PATH"] = os.pathsep.join((here, path))
    MetricsCleanup(supervisord)
    return FleetInterface(supervisord)
