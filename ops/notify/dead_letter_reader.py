"""Reads the notifier's subscription on the dead-letter topic into the outbox."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError
from google.pubsub_v1 import SubscriberAsyncClient

from ops.notify.outbox import Outbox, RejectedTransaction
from ops.notify.receivers import InvalidReceivers, Receivers
from ops.runtime import log, metrics
from ops.runtime.letter import DeadLetter

PULL_MESSAGES: Final = 100
"""Few: each has its body, up to 10 MB by https://cloud.google.com/pubsub/quotas#resource_limits."""
PULL_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 5.0

logger = log.get(__name__)


class DeadLetterReader:
    """Gathers dead letters, and acknowledges them once they are in the outbox."""

    def __init__(
        self,
        client: SubscriberAsyncClient,
        subscription: str,
        receivers: Callable[[], Receivers],
        outbox: Outbox,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._subscription = subscription
        self._receivers = receivers
        self._outbox = outbox
        self._clock = clock

    async def read_forever(self) -> None:
        while True:
            try:
                await self.read_once()
            except (GoogleAPICallError, InvalidReceivers, sqlite3.Error, OSError) as error:
                logger.warning("dead_letters_unread", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(RETRY_SECONDS)

    async def read_once(self) -> None:
        """Gather the dead letters that are there, or come within PULL_SECONDS.

        They come again if this raises: GoogleAPICallError, InvalidReceivers, sqlite3.Error.
        """
        try:
            answer = await self._client.pull(
                subscription=self._subscription,
                max_messages=PULL_MESSAGES,
                retry=None,
                timeout=PULL_SECONDS,
            )
        except DeadlineExceeded:
            return
        received = list(answer.received_messages)
        if not received:
            return
        dropped = self._outbox.add(self._addressed(received), self._clock())
        metrics.NOTIFICATIONS_DROPPED.inc(dropped)
        await self._client.acknowledge(
            subscription=self._subscription, ack_ids=[each.ack_id for each in received]
        )

    def _addressed(
        self, received: Sequence[Any]
    ) -> Iterator[tuple[RejectedTransaction, dict[str, str]]]:
        receivers = self._receivers()
        for each in received:
            letter = DeadLetter.read(each)
            rejected = RejectedTransaction(
                letter.id,
                letter.source,
                letter.reason,
                letter.error,
                letter.since.timestamp(),
                letter.tables,
            )
            yield rejected, receivers.of(rejected.source, rejected.tables)
