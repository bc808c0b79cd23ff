"""The name, the start and the exit of a process."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine

import uvloop

from ops.runtime.settings import InvalidSettings, Settings
from ops.runtime.terminal import write_error

EXIT_SETTINGS = 78  # sysexits.h: EX_CONFIG
_COLLECT_AFTER = 20_000
"""Containers allocated and not freed, a few megabytes; ten times Python's default."""


def name(program: str, settings: Settings) -> str:
    """Return this process's name in the whole fleet, such as `web-1:worker_00`.

    A process that supervisord did not start is `<program>_<pid>` on its machine.
    """
    own = os.environ.get("SUPERVISOR_PROCESS_NAME") or f"{program}_{os.getpid()}"
    return full_name(settings.instance, own)


def full_name(machine: str, own: str) -> str:
    """Return the name in the whole fleet of a process of a machine; neither has a colon."""
    return f"{machine}:{own}"


def settings_or_exit() -> Settings:
    """Load the settings; print every fault and exit with status 78 if they are wrong."""
    try:
        return Settings.load()
    except InvalidSettings as faults:
        title = "gatekeeper: the settings are wrong (environment or .env):"
        write_error(f"{title}\n{faults}", keep="\n")
        raise SystemExit(EXIT_SETTINGS) from None


def stop_event() -> asyncio.Event:
    """Return an event of the running loop that SIGTERM and SIGINT set."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event


def tune_garbage_collector() -> None:
    """Exclude the objects of the imports from garbage collection, and collect rarely.

    A full collection visits the objects of all Google libraries; decoding a batch starts several,
    which take a quarter of its time. Reference counting frees nearly all garbage here.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


def run(main: Callable[[], Coroutine[None, None, int]]) -> int:
    """Run a process's main coroutine on uvloop and return its exit status."""
    tune_garbage_collector()
    return uvloop.run(main())
