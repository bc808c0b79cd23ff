"""Starts a process of the fleet: `python -m ops.fleet.entrypoint MODULE [ARGUMENT…]`.

It runs the module as `python -m MODULE` would, after four preparations. If supervisord dies
without stopping its children (SIGKILL, out of memory), they get SIGTERM, drain, and are killed
after supervisord's stopwaitsecs; otherwise they would keep the listening socket, the ports and the
names of the next fleet. They may open more than the usual 1,024 files, since each connection is
one. Only their own user can read their files, which contain payloads. Libraries that others would
import only because they are installed are not loaded.
"""

import ctypes
import os
import resource
import runpy
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_OPEN_FILES = 65_536
_DRAIN_SECONDS = 30.0  # supervisord.conf: stopwaitsecs
_TERMINAL_LIBRARIES = ("rich",)
"""structlog imports it; a program of the fleet has no terminal."""
_ARROW_LIBRARIES = (
    "numpy",
    "pyarrow",
    "google.cloud.bigquery_storage",
    "google.cloud.bigquery_storage_v1",
)
"""BigQuery's client imports them where the embedded BigQuery has brought them along."""


def end_with_parent() -> None:
    """Drain when the parent dies, on SIGTERM from the kernel; end after `_DRAIN_SECONDS`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    parent = os.getppid()
    if _orphaned(parent):  # supervisord died before prctl: the kernel sends nothing
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=_outlive_briefly, args=(parent,), name="parent", daemon=True).start()


def _orphaned(parent: int) -> bool:
    """Return whether init has adopted a child of supervisord, as far as this user can see."""
    if parent != 1 or "SUPERVISOR_ENABLED" not in os.environ:
        return False
    import psutil  # noqa: PLC0415  # no other process needs it here

    try:
        words = psutil.Process(parent).cmdline()
    except psutil.Error:
        return False
    return "supervisord" not in " ".join(words)  # supervisord may be a container's process 1


def _outlive_briefly(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    if sys.platform != "linux":  # where the kernel has sent it
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_DRAIN_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def raise_open_files() -> None:
    """Raise the limit of open files as far as this user may, up to `_OPEN_FILES`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def leave_out_libraries(module: str) -> None:
    """Let imports of what this program never uses fail, as where it is not installed.

    A worker or server saves 25 MB and a third of a second of its start.
    """
    package = module.partition(".")[0]
    if package in {"server", "workers"} or module in {"ops.notify", "ops.fleet.autoscale"}:
        sys.modules.update(dict.fromkeys((*_TERMINAL_LIBRARIES, *_ARROW_LIBRARIES)))  # type: ignore[arg-type]  # None: absent
    elif module.startswith("ops.local."):
        sys.modules.update(dict.fromkeys(_TERMINAL_LIBRARIES))  # type: ignore[arg-type]
    elif module == "ops.commands":  # provision; typer prints with rich
        sys.modules.update(dict.fromkeys(_ARROW_LIBRARIES))  # type: ignore[arg-type]


def main() -> None:
    end_with_parent()
    raise_open_files()
    os.umask(0o077)
    module = sys.argv[1]
    sys.argv[:2] = [module]
    leave_out_libraries(module)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
