"""What trials, benchmarks and tests run: processes, a disposable fleet, proxies that inject faults.

Must not import `ops.trial`, `ops.bench` or `tests`. The names below are cheap to import. The fleet,
the environment and each proxy load Google's or aiohttp's libraries: import their modules.
"""

from ops.rig.processes import RunFailed, Service, cpu_seconds, eventually, free_port, wait_until

__all__ = ["RunFailed", "Service", "cpu_seconds", "eventually", "free_port", "wait_until"]
