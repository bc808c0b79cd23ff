"""What trials, benchmarks and tests run: processes, a disposable fleet, proxies that inject faults.

Must not know who uses it: nothing here imports `ops.trial`, `ops.bench` or `tests`. The door below
is what needs standard libraries alone; the fleet, the environment and each proxy are modules to be
imported where they are used, as Google's clients come with them.
"""

from ops.rig.processes import (
    RunFailed,
    Service,
    cpu_seconds,
    eventually,
    free_port,
    wait_until,
)

__all__ = ["RunFailed", "Service", "cpu_seconds", "eventually", "free_port", "wait_until"]
