"""Drains and stops the fleet: the second half of `ops/down`.

supervisord stops the highest priority first: servers answer the requests they have, then workers
finish and acknowledge their batches, then the local services stop. What is still in the
subscription stays there for the next start.
"""

import sys
import time

from ops.fleet.config import FleetConfig
from ops.runtime.supervisord import Supervisord, SupervisordUnreachable
from ops.runtime.terminal import write_error, write_line

# Five programs, each with supervisord's stopwaitsecs of 30.
DEADLINE_SECONDS = 160.0
REPORT_SECONDS = 3.0
_STOPPED = {"STOPPED", "EXITED", "FATAL"}


def stop(supervisord: Supervisord) -> bool:
    """Stop everything and report progress; False when it takes too long."""
    if supervisord.stopping:
        write_line("the fleet is already stopping")
    else:
        running = [each.name for each in supervisord.states() if each.state not in _STOPPED]
        write_line(f"draining {', '.join(running)}" if running else "stopping supervisord")
        supervisord.shut_down()
    # While it shuts down, supervisord reports no process states.
    started = reported_at = time.monotonic()
    while not supervisord.wait_until_gone(0.2):
        now = time.monotonic()
        if now - started > DEADLINE_SECONDS:
            return False
        if now - reported_at > REPORT_SECONDS:
            reported_at = now
            write_line(f"  still draining ({now - started:.0f} s)")
    return True


def main() -> int:
    fleet = FleetConfig.read()
    supervisord = Supervisord(fleet.socket)
    if not supervisord.up:
        write_line("the fleet is not running")
        return 0
    try:
        gone = stop(supervisord)
    except SupervisordUnreachable:  # it ended between two calls
        gone = supervisord.wait_until_gone(DEADLINE_SECONDS)
    if not gone:
        write_error(
            f"ops/down: supervisord still runs after {DEADLINE_SECONDS:g} s; its pid is in "
            f"{fleet.pid_file}, its log is {fleet.log}"
        )
        return 1
    write_line("the fleet is down; nothing is lost: ops/up continues where it stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
