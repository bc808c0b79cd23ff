import asyncio
import itertools

from tests.support.deliveries import delivery
from workers.batch import gather, join
from workers.delivery import Delivery
from workers.inbox import Inbox

HOUR = 3600.0


def _inbox(*sizes: int) -> tuple[Inbox, list[Delivery]]:
    inbox, deliveries = Inbox(), [delivery(b"x" * size) for size in sizes]
    inbox.put(deliveries)
    return inbox, deliveries


async def _gather(
    inbox: Inbox, max_messages: int = 100, max_bytes: int = 100, max_seconds: float = HOUR
) -> list[Delivery]:
    return await gather(
        inbox, max_messages=max_messages, max_bytes=max_bytes, max_seconds=max_seconds
    )


async def test_it_closes_when_the_inbox_has_run_dry() -> None:
    inbox, deliveries = _inbox(1, 1, 1)

    assert await _gather(inbox) == deliveries


async def test_it_closes_at_its_most_messages_and_the_rest_stays_in_order() -> None:
    inbox, deliveries = _inbox(1, 1, 1, 1, 1)

    assert await _gather(inbox, max_messages=2) == deliveries[:2]
    assert await _gather(inbox, max_messages=2) == deliveries[2:4]
    assert await _gather(inbox, max_messages=2) == deliveries[4:]


async def test_it_closes_before_a_message_that_would_pass_its_most_bytes() -> None:
    inbox, deliveries = _inbox(60, 40, 1)

    assert await _gather(inbox) == deliveries[:2]
    assert len(inbox) == 1


async def test_a_single_message_may_be_larger_than_a_batch() -> None:
    inbox, deliveries = _inbox(500, 1)

    assert await _gather(inbox) == deliveries[:1]


async def test_it_closes_when_it_is_old_however_fast_messages_come() -> None:
    inbox, deliveries = _inbox(*[0] * 50)
    ticks = itertools.count()  # a second for each look at the clock

    batch = await gather(
        inbox,
        max_messages=100,
        max_bytes=100,
        max_seconds=5,
        clock=lambda: float(next(ticks)),
    )

    assert batch == deliveries[:6]


async def test_it_waits_for_the_first_message() -> None:
    inbox = Inbox()
    gathering = asyncio.create_task(_gather(inbox))
    await asyncio.sleep(0)
    assert not gathering.done()

    late = delivery(b"x")
    inbox.put([late])

    assert await gathering == [late]


async def test_a_closed_inbox_ends_the_wait_with_nothing() -> None:
    inbox = Inbox()
    gathering = asyncio.create_task(_gather(inbox))
    await asyncio.sleep(0)

    inbox.close()

    assert await gathering == []


async def test_a_drained_inbox_is_waited_for_again() -> None:
    inbox, deliveries = _inbox(1, 1)

    assert inbox.drain() == deliveries
    assert not await inbox.wait(0)
    assert inbox.peek() is None


def _join(
    batch: list[Delivery],
    inbox: Inbox,
    misfit: Delivery | None = None,
    max_messages: int = 100,
    max_bytes: int = 100,
) -> None:
    join(
        batch,
        inbox,
        lambda head: head is not misfit,
        max_messages=max_messages,
        max_bytes=max_bytes,
    )


def test_what_waits_joins_a_batch_in_order() -> None:
    batch = [delivery(b"x")]
    inbox, deliveries = _inbox(1, 1)
    _join(batch, inbox)

    assert batch[1:] == deliveries
    assert len(inbox) == 0


def test_nothing_joins_past_one_that_does_not_fit() -> None:
    batch = [delivery(b"x")]
    inbox, deliveries = _inbox(1, 1, 1)
    _join(batch, inbox, misfit=deliveries[1])

    assert batch[1:] == deliveries[:1]
    assert inbox.peek() is deliveries[1]


def test_a_batch_that_is_joined_stays_within_its_bounds() -> None:
    batch = [delivery(b"x" * 98)]
    inbox, deliveries = _inbox(1, 1, 1)
    _join(batch, inbox, max_messages=2)
    assert batch[1:] == deliveries[:1]

    _join(batch, inbox)
    assert batch[1:] == deliveries[:2]
    assert inbox.peek() is deliveries[2]


def test_nothing_joins_the_batch_of_a_worker_that_stops() -> None:
    batch = [delivery(b"x")]
    inbox, _ = _inbox(1)
    inbox.close()
    _join(batch, inbox)

    assert len(batch) == len(inbox) == 1
