"""A process's own name, its entry and its exit."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine

import uvloop

from ops.runtime.settings import InvalidSettings, Settings

EXIT_SETTINGS = 78  # sysexits.h: EX_CONFIG
_COLLECT_AFTER = 20_000
"""Containers made and not freed, at most a few megabytes; Python's own number is a tenth of it."""


def name(program: str) -> str:
    """Return supervisord's name for this process (`worker_00`), else `<program>_<pid>`."""
    return os.environ.get("SUPERVISOR_PROCESS_NAME") or f"{program}_{os.getpid()}"


def settings_or_exit() -> Settings:
    """Load the settings; where they are wrong, print every fault and leave with status 78."""
    try:
        return Settings.load()
    except InvalidSettings as faults:
        sys.stderr.write(f"gatekeeper: the settings are wrong (environment or .env):\n{faults}\n")
        raise SystemExit(EXIT_SETTINGS) from None


def stop_event() -> asyncio.Event:
    """Return an event of the running loop that SIGTERM and SIGINT set."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event


def tune_garbage_collector() -> None:
    """Take what the imports have made out of the garbage collector's sight, and call it rarely.

    A full collection walks through all of Google's libraries; decoding a batch starts several, for
    a quarter of its time. What is garbage here is freed by counts of references, as nearly all is.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


def run(main: Callable[[], Coroutine[None, None, int]]) -> int:
    """Run a process's main coroutine on uvloop and return its exit status."""
    tune_garbage_collector()
    return uvloop.run(main())
