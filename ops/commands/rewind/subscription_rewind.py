"""Seeks the workers' subscription to a time, after it has checked that this is safe."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from google.pubsub_v1 import PublisherAsyncClient

from ops.commands.command_app import agreed
from ops.commands.failure import CommandFailed
from ops.runtime import backlog, clients
from ops.runtime.settings import Settings

CALL_SECONDS: Final = 30.0
LEDGER_MARGIN: Final = timedelta(days=1)
"""The workers need time for what comes again, and the ledger's rows expire meanwhile."""


async def rewind_subscription(settings: Settings, point: datetime, *, confirmed: bool) -> None:
    """Make what was published since `point` unacknowledged, if a person agrees.

    Raises CommandFailed, with the remedy, where that would lose or repeat transactions, and the
    client's errors.
    """
    publisher, subscriber = clients.publisher(settings), clients.subscriber(settings)
    try:
        await _check_retention(settings, point, publisher)
        await _check_backlog(settings, point)
        question = f"Deliver every transaction since {point.isoformat()} again?"
        if not confirmed and not agreed(question):
            raise CommandFailed("nothing is changed")
        await _check_backlog(settings, point)  # the answer may have taken a while
        request = {"subscription": settings.subscription_path, "time": point}
        await subscriber.seek(request=request, retry=None, timeout=CALL_SECONDS)
    finally:
        await clients.close(publisher, subscriber)


async def _check_retention(
    settings: Settings, point: datetime, publisher: PublisherAsyncClient
) -> None:
    topic = await publisher.get_topic(topic=settings.topic_path, retry=None, timeout=CALL_SECONDS)
    now = datetime.now(UTC)
    kept = topic.message_retention_duration or timedelta()
    if not kept:
        raise CommandFailed(
            f"the topic {settings.topic_id} keeps nothing that is acknowledged: run "
            "`gatekeeper provision --retention DAYS`; what is published from then on is kept"
        )
    if point < now - kept:
        raise CommandFailed(f"the topic keeps {kept.days} days: give a later time")
    safe = timedelta(days=settings.ledger_days) - LEDGER_MARGIN
    if point < now - safe:
        raise CommandFailed(
            f"older than {safe.days} days (LEDGER_DAYS less one), a transaction may have left the "
            "ledger and would be applied again: give a later time"
        )


async def _check_backlog(settings: Settings, point: datetime) -> None:
    """Raise if a transaction from before `point` may wait: Seek would acknowledge it."""
    now = datetime.now(UTC)
    try:
        found = await asyncio.to_thread(backlog.read, settings, CALL_SECONDS)
    except (OSError, LookupError) as error:
        raise CommandFailed(f"the backlog is not known, and could be lost: {error}") from error
    age = timedelta(seconds=found.oldest_age_seconds + backlog.late_seconds(settings))
    if point > now - age:
        before = (now - age).isoformat(timespec="seconds")
        raise CommandFailed(
            f"what is older than {point.isoformat()} and waits would be lost: give a time before "
            f"{before}, when the oldest of the backlog was published"
        )
