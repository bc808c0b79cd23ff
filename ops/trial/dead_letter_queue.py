"""The dead-letter subscription, read by an audit: pulls under leases, then returns everything.

What was pulled is nacked at the end, also after an error or Ctrl-C. If the process is killed, the
leases expire. So an audit removes no dead letter.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError, PermissionDenied
from google.pubsub_v1 import SubscriberAsyncClient

from ops.commands.provision.subscriptions import DEAD_LETTER_LEASE_SECONDS
from ops.runtime import clients
from ops.runtime.letter import DeadLetter
from ops.runtime.settings import Settings

CALL_SECONDS = 10.0
# https://cloud.google.com/pubsub/quotas#resource_limits: at most 1,000 messages an answer, and
# 512 KiB a request, of which an ack id takes up to some 200 bytes.
PULL_MESSAGES = 1_000
IDS_A_REQUEST = 2_500
MAX_BYTES = 256_000_000
"""Pulling stops when the bodies in memory exceed this, whatever the limit."""
# A server with no messages answers a pull a little before its deadline.
_MARGIN_SECONDS = 0.7


class DeadLetterQueue:
    """Pulled dead letters and their leases. Made by `opened`."""

    def __init__(self, client: SubscriberAsyncClient, path: str) -> None:
        self._client = client
        self._path = path
        self._held: set[str] = set()
        self.more = False
        """Whether pulling stopped at its limit, so that there may be more."""

    async def pull(self, limit: int, quiet_seconds: float) -> list[DeadLetter]:
        """Pull at most `limit` messages and return them as dead letters.

        Stops when none has arrived for `quiet_seconds`. Raises the client's error if the service
        does not answer.
        """
        await self._check_service()
        received: list[Any] = []
        size = 0
        while not self.more:
            some = await self._pull_once(min(limit - len(received), PULL_MESSAGES), quiet_seconds)
            if not some:
                break
            self._held |= {each.ack_id for each in some}
            received += some
            size += sum(len(each.message.data) for each in some)
            self.more = len(received) >= limit or size >= MAX_BYTES
        return [DeadLetter.read(each) for each in received]

    async def _check_service(self) -> None:
        """Raise if the service is unreachable: a pull cannot distinguish that from no messages."""
        with contextlib.suppress(PermissionDenied):  # the service answers; that is enough
            await self._client.get_subscription(
                subscription=self._path, retry=None, timeout=CALL_SECONDS
            )

    async def _pull_once(self, count: int, seconds: float) -> list[Any]:
        try:
            answer = await self._client.pull(
                subscription=self._path,
                max_messages=count,
                retry=None,
                timeout=seconds + _MARGIN_SECONDS,
            )
        except DeadlineExceeded:
            return []
        return list(answer.received_messages)

    async def _modify(self, seconds: int) -> None:
        for some in itertools.batched(sorted(self._held), IDS_A_REQUEST, strict=False):
            await self._client.modify_ack_deadline(
                subscription=self._path,
                ack_ids=list(some),
                ack_deadline_seconds=seconds,
                timeout=CALL_SECONDS,
            )

    async def extend_forever(self) -> None:
        """Extend the leases each time a third of one has passed."""
        while True:
            await asyncio.sleep(DEAD_LETTER_LEASE_SECONDS / 3)
            with contextlib.suppress(GoogleAPICallError):  # two more attempts fit into a lease
                await self._modify(DEAD_LETTER_LEASE_SECONDS)

    async def nack(self) -> None:
        """Have what was pulled delivered again immediately."""
        await self._modify(0)
        self._held.clear()


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[DeadLetterQueue]:
    """Connect to the dead-letter subscription; nack what was pulled at the end of the block."""
    client = clients.subscriber(settings)
    queue = DeadLetterQueue(client, settings.dead_letter_subscription_path)
    extending = asyncio.create_task(queue.extend_forever(), name="leases")
    try:
        yield queue
    finally:
        extending.cancel()
        await asyncio.gather(extending, return_exceptions=True)
        try:
            await queue.nack()
        finally:
            await clients.close(client)
