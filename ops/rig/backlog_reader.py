"""What waits in the subscription: counted, waited for, thrown away."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from ops.rig.processes import RunFailed, wait_until
from ops.runtime import backlog, clients
from ops.runtime.settings import Settings

PATIENCE_SECONDS = 10.0
"""For one question to a service."""


def count(settings: Settings) -> int:
    """Return how many messages are not acknowledged yet; raises RunFailed when nobody can tell."""
    try:
        return backlog.read(settings, PATIENCE_SECONDS).unacked
    except ConnectionError as error:
        raise RunFailed(str(error)) from error


def drained(settings: Settings, seconds: float, check: Callable[[], None]) -> None:
    """Return when nothing is left; raises RunFailed when something is, or what `check` raises."""

    def empty() -> bool:
        check()
        return not count(settings)

    wait_until(empty, seconds, "the backlog is worked off")


def purge(settings: Settings) -> None:
    """Settle whatever there is, without a worker."""

    def empty() -> bool:
        asyncio.run(_seek(settings))  # again for what a server had in hand still
        return not count(settings)

    wait_until(empty, PATIENCE_SECONDS, "the subscription is empty")


async def _seek(settings: Settings) -> None:
    client = clients.subscriber(settings)
    try:
        now = datetime.now(UTC)
        await client.seek({"subscription": settings.subscription_path, "time": now})
    finally:
        await clients.close(client)
