"""Another process that holds claims or has turns, until it is killed."""

import sys
from pathlib import Path

from ops.rig import Service, wait_until

_SCRIPT = """
import asyncio, pathlib, sys, time
from workers.claims import Claims
from workers.turns import Turns
async def main():
    path, *words = sys.argv[1:]
    async with {held} as claim:
        {then}
        pathlib.Path(path + ".held").touch()
        await asyncio.sleep(600)
asyncio.run(main())
"""


def start_holder(path: Path, held: str, *words: str, then: str = "pass") -> Service:
    """Return a process that has entered `held`, an expression of `path` and `words`.

    `then` is a statement that it runs inside, which may use the `claim`.
    """
    script = _SCRIPT.format(held=held, then=then)
    running = Service([sys.executable, "-c", script, str(path), *words]).start()
    wait_until(lambda: Path(f"{path}.held").exists(), 20, "the holder holds")
    return running


def forever() -> float:
    """Leave a minute, which no test takes."""
    return 60.0


def never() -> float:
    """Leave no time to wait."""
    return 0.0
