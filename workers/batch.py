"""The batch: when it closes.

It closes when it is full (messages or bytes), when it is old, or when the inbox has run dry. A
worker gathers while its last transaction is in flight, so batches are small when there is little
to do (low latency) and grow by themselves as the load does (high throughput). One that has waited
for another worker takes along what has come in meanwhile, as far as it fits what it waited for.
"""

import time
from collections.abc import Callable

from workers.delivery import Delivery
from workers.inbox import Inbox

DRY_SECONDS = 0.005
"""How long an inbox must stay empty to count as dry: longer than the gap between the responses of
one burst, too short to notice beside a transaction."""


async def gather(
    inbox: Inbox,
    *,
    max_messages: int,
    max_bytes: int,
    max_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Delivery]:
    """Wait for a delivery, then return it with those that join it, in order.

    At least one, but none when the inbox is closed. The bytes are those of the data; a single
    message may exceed `max_bytes`.
    """
    batch: list[Delivery] = []
    size = 0
    closes_at: float | None = None
    while len(batch) < max_messages:
        head = inbox.peek()
        if head is None:  # the wait costs as much as all the rest, also where there is none
            await inbox.wait(DRY_SECONDS if batch else None)
            head = inbox.peek()
        if head is None or (batch and size + len(head.data) > max_bytes):
            break
        batch.append(inbox.take())
        size += len(head.data)
        if closes_at is None:
            closes_at = clock() + max_seconds
        elif clock() >= closes_at:
            break
    return batch


def join(
    batch: list[Delivery],
    inbox: Inbox,
    fits: Callable[[Delivery], bool],
    *,
    max_messages: int,
    max_bytes: int,
) -> None:
    """Add to a batch what waits in the inbox, in order, up to the first delivery that has no place.

    That is one that does not fit, or one more than the batch may hold. Nothing once the inbox is
    closed: a worker that stops finishes what it has in hand.
    """
    if inbox.peek() is None:  # as nearly always: a sum over thousands is no look
        return
    size = sum(len(delivery.data) for delivery in batch)
    while len(batch) < max_messages and not inbox.closed:
        head = inbox.peek()
        if head is None or size + len(head.data) > max_bytes or not fits(head):
            return
        batch.append(inbox.take())
        size += len(head.data)
