"""Drains and stops the fleet: the second half of `ops/down`.

supervisord stops the highest priority first: servers answer the requests they have, then workers
finish and acknowledge their batches, then the local services stop. What is still in the
subscription stays there for the next start.
"""

import contextlib
import sys
import time

import psutil

from ops.fleet.config import FleetConfig
from ops.runtime.supervisord import Supervisord, SupervisordUnreachable
from ops.runtime.terminal import write_error, write_line

# Five programs, each with supervisord's stopwaitsecs of 30.
DEADLINE_SECONDS = 160.0
REPORT_SECONDS = 3.0
_STOPPED = {"STOPPED", "EXITED", "FATAL"}


def begin(supervisord: Supervisord) -> None:
    """Have supervisord stop everything, and itself; raises `SupervisordUnreachable`."""
    if supervisord.stopping:
        write_line("the fleet is already stopping")
        return
    running = [each.name for each in supervisord.states() if each.state not in _STOPPED]
    write_line(f"draining {', '.join(running)}" if running else "stopping supervisord")
    supervisord.shut_down()


def wait(pid: int, seconds: float = DEADLINE_SECONDS) -> bool:
    """Wait until the process has ended and report progress; False when it takes too long.

    supervisord's socket is gone before supervisord is.
    """
    started = reported_at = time.monotonic()
    while runs(pid):
        now = time.monotonic()
        if now - started > seconds:
            return False
        if now - reported_at > REPORT_SECONDS:
            reported_at = now
            write_line(f"  still draining ({now - started:.0f} s)")
        time.sleep(0.1)
    return True


def runs(pid: int) -> bool:
    """Return whether a process has not ended; a zombie has."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def main() -> int:
    fleet = FleetConfig.read()
    supervisord = Supervisord(fleet.socket)
    if not supervisord.up:
        write_line("the fleet is not running")
        return 0
    with contextlib.suppress(FileNotFoundError):  # without its pid file it has just ended
        pid = fleet.supervisord_pid
        with contextlib.suppress(SupervisordUnreachable):  # it ended between two calls
            begin(supervisord)
        if not wait(pid):
            write_error(
                f"ops/down: supervisord (pid {pid}) still runs after {DEADLINE_SECONDS:g} s; its "
                f"log is {fleet.log}"
            )
            return 1
    write_line("the fleet is down; nothing is lost: ops/up continues where it stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
