"""The first process of a container: `python -m ops.fleet.container [server | worker | COMMAND…]`.

Without an argument it runs supervisord, with the whole fleet of the machine; with `server` or
`worker` it becomes that process; with anything else `gatekeeper COMMAND…`. SIGTERM drains each.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

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
    command = [sys.executable, "-m", *chosen]
    if chosen[0] == "supervisor.supervisord":
        RUN_FOLDER.mkdir(mode=0o700, exist_ok=True)
        sys.exit(run_with_own_output(command))
    os.execv(sys.executable, command)  # noqa: S606  # our own words


def run_with_own_output(command: Sequence[str]) -> int:
    """Run a command, copy its output to standard output, and return its exit status.

    supervisord opens /dev/fd/1 again for each program. Only its owner may do that, and the
    container's own output may belong to root: https://github.com/moby/moby/issues/31243. The pipe
    is ours. SIGTERM, SIGINT and SIGHUP are passed on.
    """
    with (
        subprocess.Popen(  # noqa: S603  # our own words
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as child,
        open(1, "wb", closefd=False) as output,
    ):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: child.send_signal(number))
        assert child.stdout is not None  # noqa: S101  # a pipe
        while part := os.read(child.stdout.fileno(), 65_536):
            output.write(part)
            output.flush()
    return child.returncode


if __name__ == "__main__":
    main()
