"""A process's entry under supervisord: `python -m ops.fleet.child MODULE [ARGUMENT…]`.

Runs the module as `python -m MODULE` would, after two arrangements with the kernel. When
supervisord dies without stopping its children (SIGKILL, out of memory), they get SIGTERM and drain;
otherwise they would live on, holding the listening socket, the ports and the names of the next
fleet. And they may open more files than the usual 1,024, since every client's connection is one.
"""

import ctypes
import resource
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_OPEN_FILES = 65_536


def end_with_parent() -> None:
    """Ask Linux for SIGTERM when the parent dies; other systems have no such call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


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
    module = sys.argv[1]
    sys.argv[:2] = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
