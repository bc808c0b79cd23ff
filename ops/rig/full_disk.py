"""A full disk, as one process sees it: for a while none of its files can be written.

The limit on a file's size (RLIMIT_FSIZE) of a running process is set to 0 from outside, which
takes no privilege but being its user, and fails nobody else on the machine. Every write to a file
then fails with EFBIG instead of ENOSPC; both are an OSError that retrying does not mend, and both
go away by themselves. Where it differs: on a full disk, blocks that a file already has can still be
written and an empty file still be made, here the first cannot and the second can; and a process
that has not said to ignore SIGXFSZ is killed by it. Python ignores it, and so does every library
inside a Python process; whatever does not, as the Pushgateway, whose Go runtime catches the signal
only to die of it, is left alone.
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
    """Tell whether a process ignores SIGXFSZ rather than being ended by it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    masks = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Sig"))
    return bool(int(masks["SigIgn"], 16) >> (signal.SIGXFSZ - 1) & 1)


async def strike(pids: Iterable[int], seconds: float) -> None:
    """Let these processes write no file for so long; a process that would die of it is spared.

    One that ends meanwhile is forgotten: what starts in its place has the limit of its parent.
    """
    before: dict[int, tuple[int, int]] = {}
    try:
        for pid in pids:
            if not survives(pid):
                logger.info("full_disk_spared", pid=pid)
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
