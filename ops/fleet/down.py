"""Drains and stops the fleet: the second half of `ops/down`.

supervisord stops the highest priority first: servers answer what they have begun, then workers
finish and acknowledge their batches, then the local services go. What is still in the subscription
stays there for the next start.
"""

import sys
import time

from ops.fleet.config import FleetConfig
from ops.fleet.up import say
from ops.runtime.supervisord import ProcessState, Supervisord, SupervisordUnreachable

# Five programs, each with supervisord's stopwaitsecs of 30.
DEADLINE_SECONDS = 160.0
_STOPPED = {"STOPPED", "EXITED", "FATAL"}


def running(states: list[ProcessState]) -> list[str]:
    """Return the names of the processes that still run."""
    return [state.name for state in states if state.state not in _STOPPED]


def stop(supervisord: Supervisord) -> bool:
    """Ask supervisord to stop everything, tell what it waits for; False when it takes too long."""
    if supervisord.stopping:
        say("the fleet is already on its way down")
    else:
        waiting = running(supervisord.states())
        say(f"draining {', '.join(waiting)}" if waiting else "stopping supervisord")
        supervisord.shut_down()
    # Once it shuts down, supervisord no longer tells its processes' states.
    started = reported = time.monotonic()
    while not supervisord.wait_until_gone(0.2):
        now = time.monotonic()
        if now - started > DEADLINE_SECONDS:
            return False
        if now - reported > 3:  # noqa: PLR2004  # seconds between two lines
            reported = now
            say(f"  still draining ({now - started:.0f} s)")
    return True


def main() -> int:
    """Stop the fleet; fine when it does not run."""
    fleet = FleetConfig.read()
    supervisord = Supervisord(fleet.socket)
    if not supervisord.up:
        say("the fleet is not running")
        return 0
    try:
        gone = stop(supervisord)
    except SupervisordUnreachable:  # it went between two questions
        gone = supervisord.wait_until_gone(DEADLINE_SECONDS)
    if not gone:
        sys.stderr.write(
            f"ops/down: supervisord still runs after {DEADLINE_SECONDS:g} s; its pid is in "
            f"{fleet.pid_file}, its log {fleet.log}\n"
        )
        return 1
    say("the fleet is down; nothing is lost: ops/up goes on where it stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
