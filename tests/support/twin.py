"""One of two workers that get the same messages.

`python -m tests.support.twin FOLDER NAME TABLE CLAIMS` applies the same inserts as its twin at the
same moment, in several rounds. Settings come from the environment; CLAIMS is the file of claims, or
`-` for a worker without claims.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path

from ops.rig import wait_until
from ops.runtime import clients
from ops.runtime.settings import Settings
from tests.support.deliveries import entry, insert, number
from workers.apply import Applier
from workers.claims import Claims
from workers.guard_rail import GuardRail
from workers.unused import Unused
from workers.warehouse import Warehouse

ROUNDS = 4
INSERTS = 400
_SECONDS = 60.0


def _meet(folder: Path, name: str, round_: int) -> None:
    """Wait until both twins have reached this round."""
    (folder / f"{name}-{round_}").touch()
    wait_until(lambda: len(list(folder.glob(f"*-{round_}"))) == 2, _SECONDS)


async def main() -> None:
    folder, name, table, file = Path(sys.argv[1]), *sys.argv[2:5]
    settings = Settings.load()
    warehouse = Warehouse(clients.warehouse(settings), settings)
    applier = Applier(
        warehouse, settings.dataset_path, name, GuardRail(), Unused(folder / "unused")
    )
    claims = None if file == "-" else Claims(Path(file))
    give_up = time.monotonic() + _SECONDS

    def left() -> float:
        return give_up - time.monotonic()

    for round_ in range(ROUNDS):
        numbers = range(round_ * INSERTS, (round_ + 1) * INSERTS)
        batch = [entry(insert(table, a=number(n)), id=f"{table}-{n}") for n in numbers]
        _meet(folder, name, round_)
        async with claims.held([table], left) if claims else contextlib.nullcontext():
            await applier.settle(batch, left)


if __name__ == "__main__":
    asyncio.run(main())
