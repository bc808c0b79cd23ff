"""Sends what waits in the outbox: receivers side by side, the notifications of one in turn."""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from typing import Final

from ops.notify.notification import Notification
from ops.notify.outbox import Outbox
from ops.notify.webhook import GONE, Webhooks
from ops.runtime import log, metrics

POLL_SECONDS: Final = 1.0
MAX_PARALLEL: Final = 16
"""Receivers that are sent to at the same time."""
FIRST_WAIT_SECONDS: Final = 5.0
LONGEST_WAIT_SECONDS: Final = 3_600.0

logger = log.get(__name__)


def wait_seconds(failures: int, share: float) -> float:
    """Return the wait after some failures in a row: four times longer each time, up to an hour.

    `share`, 0 to 1, shortens it by up to a half, so that machines do not try at the same moment.
    """
    longest = FIRST_WAIT_SECONDS * 4.0 ** min(failures - 1, 10)
    return min(longest, LONGEST_WAIT_SECONDS) * (1 - share / 2)


class Notifier:
    """A receiver that fails or is slow delays only its own notifications."""

    def __init__(
        self,
        outbox: Outbox,
        webhooks: Webhooks,
        clock: Callable[[], float] = time.time,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._webhooks = webhooks
        self._clock = clock
        self._share = share
        self._busy: set[str] = set()

    async def send_forever(self) -> None:
        async with asyncio.TaskGroup() as sending:
            while True:
                try:
                    self.start_due(sending)
                except sqlite3.Error as error:
                    logger.warning("outbox_failed", error=str(error))
                await asyncio.sleep(POLL_SECONDS)

    def start_due(self, sending: asyncio.TaskGroup) -> None:
        """Start to send what is due, and drop what is too old. Raises sqlite3.Error."""
        now = self._clock()
        metrics.NOTIFICATIONS_DROPPED.inc(self._outbox.expire(now))
        waiting = self._outbox.waiting(now)
        metrics.NOTIFICATIONS_WAITING.set(waiting.number)
        metrics.NOTIFICATIONS_OLDEST.set(waiting.oldest_seconds)
        for url, notifications in self._outbox.due(now).items():
            if url not in self._busy and len(self._busy) < MAX_PARALLEL:
                self._busy.add(url)
                sending.create_task(self._send_all(url, notifications), name="webhook")

    async def _send_all(self, url: str, notifications: list[Notification]) -> None:
        """Send until the first failure."""
        try:
            for each in notifications:
                if not await self._send(each):
                    return
        except sqlite3.Error as error:  # it is sent again
            logger.warning("outbox_failed", error=str(error))
        finally:
            self._busy.discard(url)

    async def _send(self, notification: Notification) -> bool:
        url, reply = notification.url, await self._webhooks.send(notification)
        if reply.is_accepted:
            self._outbox.sent(notification)
            metrics.NOTIFICATIONS_SENT.inc()
            return True
        metrics.NOTIFICATION_FAILURES.inc()
        error = f"{reply.status or 'no answer'}: {reply.text}"
        if reply.status == GONE:
            metrics.NOTIFICATIONS_DROPPED.inc(self._outbox.switch_off(url, error))
            logger.warning("receiver_switched_off", notification=notification.id)
            return False
        failures = self._outbox.failures(url) + 1
        wait = wait_seconds(failures, self._share())
        self._outbox.failed(url, error, self._clock() + wait)
        logger.warning(
            "notification_failed", notification=notification.id, status=reply.status, wait=wait
        )
        return False
