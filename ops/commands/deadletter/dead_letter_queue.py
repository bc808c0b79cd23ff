"""The dead-letter subscription: letters pulled under leases, acknowledged one by one or given back.

Whatever is not acknowledged within the block goes back at its end, also after an error or Ctrl-C;
a process that is killed leaves it to the leases, which run out. So no command loses a letter.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterable
from typing import Any

from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError, PermissionDenied
from google.pubsub_v1 import SubscriberAsyncClient

from ops.commands.deadletter.letter import Letter, gather
from ops.commands.provision.subscriptions import DEAD_LETTER_LEASE_SECONDS
from ops.runtime import clients
from ops.runtime.settings import Settings

CALL_SECONDS = 10.0
# https://cloud.google.com/pubsub/quotas#resource_limits: at most 1,000 messages an answer, and
# 512 KiB a request, of which an ack id takes up to some 200 bytes.
PULL_MESSAGES = 1_000
ACK_IDS_A_REQUEST = 2_500
MAX_BYTES = 256_000_000
"""Of all letters in hand; no more are pulled beyond, whatever the limit."""
# A pull that has nothing answers a little before its deadline, where the server knows that.
_MARGIN_SECONDS = 0.7


class Queue:
    """Letters in hand. Made by `opened`."""

    def __init__(self, client: SubscriberAsyncClient, path: str) -> None:
        self._client = client
        self._path = path
        self._held: set[str] = set()
        self.more = False
        """Whether pulling stopped at its limit: there may be more than was seen."""

    async def pull(self, limit: int, quiet_seconds: float) -> list[Letter]:
        """Return at most `limit` deliveries as letters, oldest first.

        Pulls again and again until nothing has come for `quiet_seconds`. Raises what the client
        raises when the service does not answer.
        """
        await self._ask()
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
        return gather(received)

    async def _ask(self) -> None:
        """Tell an empty subscription from a service that is away: in a pull both are silence."""
        with contextlib.suppress(PermissionDenied):  # it answers, which is all we want to know
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

    async def ack(self, letters: Iterable[Letter]) -> None:
        """Remove letters for good, every copy in hand."""
        ack_ids = [each for letter in letters for each in letter.ack_ids]
        for some in itertools.batched(ack_ids, ACK_IDS_A_REQUEST, strict=False):
            await self._client.acknowledge(
                subscription=self._path, ack_ids=list(some), timeout=CALL_SECONDS
            )
            self._held -= set(some)

    async def _modify(self, seconds: int) -> None:
        for some in itertools.batched(sorted(self._held), ACK_IDS_A_REQUEST, strict=False):
            await self._client.modify_ack_deadline(
                subscription=self._path,
                ack_ids=list(some),
                ack_deadline_seconds=seconds,
                timeout=CALL_SECONDS,
            )

    async def extend_forever(self) -> None:
        """Keep the leases alive: a third of one has passed whenever they are extended."""
        while True:
            await asyncio.sleep(DEAD_LETTER_LEASE_SECONDS / 3)
            with contextlib.suppress(GoogleAPICallError):  # two more tries fit into a lease
                await self._modify(DEAD_LETTER_LEASE_SECONDS)

    async def give_back(self) -> None:
        """Let everything in hand be delivered again, now."""
        await self._modify(0)
        self._held.clear()


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Queue]:
    """Connect to the dead letters; at the end of the block what is left in hand is given back."""
    client = clients.subscriber(settings)
    queue = Queue(client, settings.dead_letter_subscription_path)
    extending = asyncio.create_task(queue.extend_forever(), name="leases")
    try:
        yield queue
    finally:
        extending.cancel()
        await asyncio.gather(extending, return_exceptions=True)
        try:
            await queue.give_back()
        finally:
            await clients.close(client)
