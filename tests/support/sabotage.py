"""`python -m tests.support.sabotage NAME MODULE [ARG…]`: runs a module without one protection.

A trial must notice that each of them is missing.
"""

# ruff: noqa: PLC0415  # each process imports only the modules that it changes

import runpy
import sys
from collections.abc import Callable
from typing import Any


def ack_before_commit() -> None:
    """A worker acknowledges its batch half a second before it commits it."""
    import asyncio

    from workers.worker import Worker

    plain = Worker._settle_in_time

    async def settle(self: Worker, batch: Any) -> None:
        await self.subscription.ack(batch.deliveries)
        await asyncio.sleep(0.5)
        await plain(self, batch)

    Worker._settle_in_time = settle  # type: ignore[method-assign]


def no_ledger() -> None:
    """The ledger is written, but neither the guard nor the look-up reads it."""
    from workers import sql
    from workers.warehouse import Warehouse

    plain, plain_read = sql.script, Warehouse.read_lane

    def script(
        dataset: str, changes: Any, settlement: sql.LaneSettlement, layouts: Any = None
    ) -> sql.Script:
        return plain(dataset, changes, settlement._replace(ids=[]), layouts)

    async def read_lane(self: Warehouse, lane: int, _: Any, *rest: Any) -> Any:
        return await plain_read(self, lane, [], *rest)

    sql.script = script
    Warehouse.read_lane = read_lane  # type: ignore[method-assign, assignment]


def head_not_mutated() -> None:
    """The guard reads the ledger, but two commits of one lane do not conflict."""
    from ops.runtime.warehouse_errors import FENCED_TEXT
    from schema import ledger_table
    from workers import sql

    plain = sql._guard

    def guard(builder: Any, settlement: sql.LaneSettlement) -> str:
        plain(builder, settlement)
        ledger = builder.table(ledger_table(settlement.lane))
        return (
            f"ASSERT NOT EXISTS (SELECT 1 FROM {ledger} "  # our own names
            "WHERE settled_at >= CAST(@since AS TIMESTAMP) AND CAST(@epoch AS INT64) >= 0 "
            f"AND id IN UNNEST(JSON_VALUE_ARRAY(@ids))) AS '{FENCED_TEXT}';"
        )

    sql._guard = guard


def guard_too_narrow() -> None:
    """Guard and look-up read only what was settled since their batch was begun."""
    from datetime import UTC, datetime

    from workers import commit

    commit.settled_since = lambda *_: datetime.now(UTC).isoformat(" ")  # type: ignore[attr-defined]


def location_left_out() -> None:
    """Jobs are looked up without the dataset's location.

    Their outcome is asked for during an hour: the lane would otherwise go on after 150 s, which a
    trial on a slow machine outlasts.
    """
    from workers.jobs import Jobs

    plain = Jobs.__post_init__

    def patient(self: Jobs) -> None:
        self.limits = self.limits._replace(grace=3600.0)
        plain(self)

    Jobs.__post_init__ = patient  # type: ignore[method-assign]
    Jobs._where = lambda _: None  # type: ignore[method-assign, assignment]


def lane_in_two_workers() -> None:
    """Pub/Sub delivers the messages of one lane to several workers."""
    from ops.commands.provision import subscriptions

    plain = subscriptions.workers_subscription

    def unordered(settings: Any) -> Any:
        subscription = plain(settings)
        subscription.enable_message_ordering = False
        return subscription

    subscriptions.workers_subscription = unordered


def spool_unordered() -> None:
    """Messages in the spool are published in reverse order."""
    from server.spool import replayer as spool_replay

    plain = spool_replay._by_key

    def by_key(queued: Any) -> Any:
        return [each[::-1] for each in plain(queued)]

    spool_replay._by_key = by_key  # type: ignore[assignment]


SABOTAGES: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        ack_before_commit,
        no_ledger,
        head_not_mutated,
        guard_too_narrow,
        location_left_out,
        lane_in_two_workers,
        spool_unordered,
    )
}


def main() -> None:
    """Remove the protection, then run the module as `python -m MODULE` would."""
    _, name, module, *arguments = sys.argv
    SABOTAGES[name]()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
