"""Starts a process of the fleet: `python -m ops.fleet.entrypoint MODULE [ARGUMENT…]`.

It runs the module as `python -m MODULE` would, after three preparations. If supervisord dies
without stopping its children (SIGKILL, out of memory), they get SIGTERM, drain, and are killed
after supervisord's stopwaitsecs; otherwise they would keep the listening socket, the ports and the
names of the next fleet. They may open more than the usual 1,024 files, since each connection is
one. Only their own user can read their files, which contain payloads.
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


def main() -> None:
    end_with_parent()
    raise_open_files()
    os.umask(0o077)
    module = sys.argv[1]
    sys.argv[:2] = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
