"""A stream of transactions from many clients, and the rows that they became."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import aiohttp

from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet

CLIENTS = 32


class Numbers(Iterator[int]):
    """0, 1, 2, … until `stopped`: `given` of them."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self.given = 0
        self.stopped = False

    def __next__(self) -> int:
        if self.stopped:
            raise StopIteration
        self.given += 1
        return next(self._count)


def insert(table: str, **values: int | str) -> dict[str, Any]:
    """Return an activity that inserts one row of integers and texts."""
    return {
        "operation": "insert",
        "table": table,
        "col_names": list(values),
        "col_types": ["INTEGER" if isinstance(each, int) else "TEXT" for each in values.values()],
        "col_values": list(values.values()),
    }


def delete(table: str, **values: int | str) -> dict[str, Any]:
    """Return an activity that deletes the rows with these values."""
    columns = insert(table, **values)
    names = ("col_names", "col_types", "col_values")
    value_to_delete = {name: columns[name] for name in names}
    return {"operation": "delete", "table": table, "value_to_delete": value_to_delete}


def transaction(*activities: dict[str, Any]) -> dict[str, Any]:
    """Return the payload of one transaction."""
    return {"activities": list(activities)}


async def send(
    fleet: DisposableFleet,
    table: str,
    numbers: Iterable[int],
    *,
    accepted: set[int],
    clients: int = CLIENTS,
) -> None:
    """POST `insert n` into `<table>_<n mod 4>` for each number; add those answered 200.

    A request whose connection fails or that is answered 503 may not have been accepted. Any other
    answer but 200 fails the test.
    """
    waiting = iter(numbers)

    async def client(session: aiohttp.ClientSession) -> None:
        for number in waiting:
            payload = transaction(insert(f"{table}_{number % 4}", n=number))
            try:
                async with session.post("/api/activities", json=payload) as answer:
                    assert answer.status in {200, 503}, await answer.text()
                    if answer.status == 200:
                        accepted.add(number)
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)

    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(f"http://{fleet.address}", timeout=timeout) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))


def applied(fleet: DisposableFleet, table: str) -> Counter[int]:
    """Return how often each number is in the tables that `send` wrote to."""
    names = {f"{table}_{each}" for each in range(4)}
    there = {
        row["table_name"] for row in fleet.query("SELECT table_name FROM INFORMATION_SCHEMA.TABLES")
    }
    counts: Counter[int] = Counter()
    for name in names & there:
        for row in fleet.query(f"SELECT n, COUNT(*) AS times FROM {name} GROUP BY n"):
            counts[row["n"]] += row["times"]
    return counts


def wait_until_applied(
    fleet: DisposableFleet, table: str, accepted: set[int], seconds: float
) -> Counter[int]:
    """Return how often each number is in the tables, once all accepted ones are."""

    def found() -> Counter[int] | None:
        counts = applied(fleet, table)
        return counts if accepted <= counts.keys() else None

    return wait_until(found, seconds, f"{len(accepted)} numbers are in {table}") or Counter()
