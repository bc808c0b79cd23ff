"""`python -m tests.support.sabotage NAME MODULE [ARG…]`: runs a module without one protection.

A trial must notice that each of them is missing.
"""

# ruff: noqa: PLC0415  # each process imports only the modules that it changes

import runpy
import sys
import uuid
from collections.abc import Callable
from typing import Any


def ack_before_commit() -> None:
    """A worker acknowledges its batch half a second before it commits it."""
    import asyncio

    from workers.lanes import LaneBatch
    from workers.worker import Worker

    plain = Worker._settle

    async def settle(self: Worker, batch: LaneBatch) -> None:
        await self._subscription.ack(batch.deliveries)
        await asyncio.sleep(0.5)
        await plain(self, batch)

    Worker._settle = settle  # type: ignore[method-assign]


def no_ledger() -> None:
    """The ledger is written, but neither the guard nor the look-up reads it."""
    from workers import sql
    from workers.warehouse import Warehouse

    plain_script, plain_read = sql.script, Warehouse.read_lane

    def script(
        dataset: str, changes: Any, settlement: sql.LaneSettlement, defaults: Any = None
    ) -> sql.Script:
        return plain_script(dataset, changes, settlement._replace(ids=[]), defaults)

    async def read_lane(self: Warehouse, lane: int, _: list[str], *rest: Any) -> Any:
        return await plain_read(self, lane, [], *rest)

    sql.script = script
    Warehouse.read_lane = read_lane  # type: ignore[method-assign, assignment]


def no_job_id() -> None:
    """A job whose answer is lost is submitted again immediately, under another id.

    If the first job has ended, the ledger's guard finds its rows. If it still runs, neither of the
    two finds the other's.
    """
    from google.cloud import bigquery

    from workers import warehouse

    plain = bigquery.Client.query

    def query(self: bigquery.Client, text: str, **arguments: Any) -> Any:
        arguments["job_id"] = f"gatekeeper-{uuid.uuid4().hex}"
        return plain(self, text, **arguments)

    warehouse.POLL_SECONDS = 0.0
    bigquery.Client.query = query  # type: ignore[method-assign, assignment]


def spool_unordered() -> None:
    """Messages in the spool are published in reverse order."""
    from server.spool import replayer as spool_replay

    plain = spool_replay._by_key

    def by_key(queued: Any) -> Any:
        return [each[::-1] for each in plain(queued)]

    spool_replay._by_key = by_key  # type: ignore[assignment]


SABOTAGES: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (ack_before_commit, no_ledger, no_job_id, spool_unordered)
}


def main() -> None:
    """Remove the protection, then run the module as `python -m MODULE` would."""
    _, name, module, *arguments = sys.argv
    SABOTAGES[name]()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
