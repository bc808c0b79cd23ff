"""Makes a disk full for some processes: for a while they cannot write to any file.

The limit on file sizes (RLIMIT_FSIZE) of a running process is set to 0 from outside. That needs no
privilege but the same user, and affects no other process. Every write to a file then fails with
EFBIG instead of ENOSPC: both are an OSError that a retry does not fix, and both end without a
restart. One difference: on a full disk, a process can still write to blocks that a file already
has; here it cannot. A process that does not ignore SIGXFSZ is killed by it. Python ignores it.
Other programs are left alone, such as the Pushgateway: its Go runtime catches the signal and exits.
https://man7.org/linux/man-pages/man2/setrlimit.2.html
"""

import asyncio
import contextlib
import resource
import signal
from collections.abc import Iterable
from pathlib import Path

from ops.runtime import log

logger = log.get(__name__)


def survives(pid: int) -> bool:
    """Return whether a process ignores SIGXFSZ, which would end it otherwise."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    masks = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Sig"))
    return bool(int(masks["SigIgn"], 16) >> (signal.SIGXFSZ - 1) & 1)


async def fill(pids: Iterable[int], seconds: float) -> None:
    """Let these processes write to no file for `seconds`; skip those that would be killed.

    A process that ends meanwhile is ignored: its successor has the limit of its parent.
    """
    before: dict[int, tuple[int, int]] = {}
    try:
        for pid in pids:
            if not survives(pid):
                logger.info("full_disk_skipped", pid=pid)
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
                before[pid] = (soft, hard)
        await asyncio.sleep(seconds)
    finally:
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
