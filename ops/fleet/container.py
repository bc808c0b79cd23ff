"""The first process of a container: `python -m ops.fleet.container [server | worker | COMMAND…]`.

Without an argument it becomes supervisord, with the whole fleet of the machine; with `server` or
`worker` that process alone; with anything else `gatekeeper COMMAND…`. SIGTERM drains each of them.
"""

import os
import sys

from ops.fleet.container_config import RUN_FOLDER
from ops.runtime.fleet_files import supervisord_conf

_MODULES = {"server": "server", "worker": "workers"}


def words(arguments: list[str]) -> list[str]:
    """Return the words after `python -m` that take this process's place."""
    if not arguments:
        return ["supervisor.supervisord", "-c", str(supervisord_conf())]
    if len(arguments) == 1 and arguments[0] in _MODULES:
        return ["ops.fleet.entrypoint", _MODULES[arguments[0]]]
    return ["ops.commands", *arguments]


def main() -> None:
    chosen = words(sys.argv[1:])
    if chosen[0] == "supervisor.supervisord":
        RUN_FOLDER.mkdir(mode=0o700, exist_ok=True)
    os.execv(sys.executable, [sys.executable, "-m", *chosen])  # noqa: S606  # our own words


if __name__ == "__main__":
    main()
