"""A process's entry under supervisord: `python -m ops.fleet.entrypoint MODULE [ARGUMENT…]`.

Runs the module as `python -m MODULE` would, after three arrangements. When supervisord dies without
stopping its children (SIGKILL, out of memory), they get SIGTERM and drain, and end as surely as
under supervisord: within its stopwaitsecs. Otherwise they would live on, holding the listening
socket, the ports and the names of the next fleet. They may open more files than the usual 1,024,
since every client's connection is one. And what they write is for their own user alone, payloads
being in it.
"""

import ctypes
import os
import resource
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_OPEN_FILES = 65_536
_DRAIN_SECONDS = 30.0  # supervisord.conf: stopwaitsecs


def end_with_parent() -> None:
    """Drain when the parent dies: SIGTERM at once, by Linux itself, and the end when it is due."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    parent = os.getppid()
    if _orphaned(parent):  # too late for the kernel to tell: supervisord died before it was asked
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=_outlive_briefly, args=(parent,), name="parent", daemon=True).start()


def _orphaned(parent: int) -> bool:
    """Tell whether a child of supervisord has init for a parent instead, as far as can be known."""
    if parent != 1 or "SUPERVISOR_ENABLED" not in os.environ:
        return False
    try:
        words = Path(f"/proc/{parent}/cmdline").read_bytes()
    except OSError:
        return False
    return b"supervisord" not in words  # which may be a container's first process


def _outlive_briefly(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    if sys.platform != "linux":  # which has sent it already
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
    """Run the module that the command line names, with the rest of it as its arguments."""
    end_with_parent()
    raise_open_files()
    os.umask(0o077)
    module = sys.argv[1]
    sys.argv[:2] = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
