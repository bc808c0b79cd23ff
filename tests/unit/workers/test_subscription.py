import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import pytest
from google.api_core.exceptions import NotFound, ServiceUnavailable
from google.pubsub_v1 import StreamingPullResponse, SubscriberAsyncClient

from ops.rig import eventually
from tests.support.deliveries import delivery
from tests.support.fake_subscriber import FakeSubscriber, broken, response
from workers import subscription as module
from workers.lane_queues import BatchLimits, Delivery, LaneQueues
from workers.subscription import Subscription

LEASE_SECONDS = 60


@pytest.fixture
def client() -> FakeSubscriber:
    return FakeSubscriber()


@pytest.fixture
def queues() -> LaneQueues:
    limits = BatchLimits(messages=100, bytes=10**6, max_wait=0, eager=True, jobs=100)
    return LaneQueues(32, limits)


@pytest.fixture
def subscription(client: FakeSubscriber, queues: LaneQueues) -> Subscription:
    return Subscription(
        cast("SubscriberAsyncClient", client),
        "the/path",
        queues,
        lease_seconds=LEASE_SECONDS,
        max_messages=10,
        max_bytes=1000,
    )


@contextlib.asynccontextmanager
async def pulling(subscription: Subscription) -> AsyncIterator[None]:
    task = asyncio.create_task(subscription.pull_forever())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def taken_from(subscription: Subscription) -> Delivery:
    """Take one delivery from its queue, as a batch does."""
    lane = next(each for each in subscription.queues._lanes if each.deliveries)
    return lane.pop()


def _refusing(subscription: Subscription, client: FakeSubscriber, times: int) -> Any:
    """Return a `_call` that fails this number of times, as while the service is away."""
    plain, left = subscription._call, [times]

    async def call(*what: Any, **how: Any) -> bool:
        assert len(client.opened) == 1
        left[0] -= 1
        return left[0] < 0 and await plain(*what, **how)

    return call


async def test_the_stream_asks_for_leases_and_bounds_and_fills_the_queues_in_order(
    client: FakeSubscriber, subscription: Subscription
) -> None:
    client.stream.put_nowait(response(("1", b"a"), ("2", b"b")))
    client.stream.put_nowait(response(("3", b"c")))
    started = time.monotonic()
    async with pulling(subscription):
        await eventually(lambda: len(subscription.queues) == 3)

    (request,) = client.opened
    assert request.subscription == "the/path"
    assert request.stream_ack_deadline_seconds == LEASE_SECONDS
    assert request.max_outstanding_messages == 10
    assert request.max_outstanding_bytes == 1000
    taken = subscription.queues.drain()
    assert [(each.ack_id, each.data) for each in taken] == [("1", b"a"), ("2", b"b"), ("3", b"c")]
    assert taken[0].attributes == {"id": "1"}
    assert taken[0].ordering_key == "lane-01"
    assert taken[0].publish_time == "2026-03-01T12:00:00+00:00"
    assert started + LEASE_SECONDS <= taken[0].lease_until <= time.monotonic() + LEASE_SECONDS


async def test_a_broken_stream_gives_the_queues_back_keeps_what_is_taken_and_opens_again(
    client: FakeSubscriber, subscription: Subscription
) -> None:
    client.stream.put_nowait(response(("1", b"a"), ("2", b"b"), ("3", b"c")))
    async with pulling(subscription):
        await eventually(lambda: len(subscription.queues) == 3)
        taken = taken_from(subscription)
        client.stream.put_nowait(broken(grpc.StatusCode.UNAVAILABLE))
        await eventually(lambda: len(client.opened) == 2)

    assert client.nacked == {"2", "3"}
    assert len(subscription.queues) == 0
    first, second = (request.client_id for request in client.opened)
    assert first != second, "keys with messages lost on the way are not to be passed on"
    await subscription.ack([taken])
    assert client.all_acked == ["1"]


async def test_no_stream_is_opened_while_what_was_dropped_is_neither_nacked_nor_expired(
    subscription: Subscription, client: FakeSubscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pub/Sub could send later messages of its key meanwhile, which would overtake it."""
    monkeypatch.setattr(module, "NACK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(subscription, "_call", _refusing(subscription, client, times=3))
    async with pulling(subscription):
        client.stream.put_nowait(response(("a", b"")))
        await eventually(lambda: len(subscription.queues))
        client.stream.put_nowait(broken(grpc.StatusCode.UNAVAILABLE))
        await eventually(lambda: len(client.opened) == 2)
    assert client.nacked == {"a"}


async def test_a_copy_of_what_is_worked_on_is_not_given_back_but_acked_with_it(
    client: FakeSubscriber, subscription: Subscription
) -> None:
    client.stream.put_nowait(response(("1", b"a")))
    async with pulling(subscription):
        await eventually(lambda: len(subscription.queues) == 1)
        taken = taken_from(subscription)
        copy, other = response(("copy", b"a"), ("2", b"b")).received_messages
        copy.message.message_id = taken.message_id
        client.stream.put_nowait(StreamingPullResponse(received_messages=[copy, other]))
        await eventually(lambda: len(subscription.queues) == 2)
        client.stream.put_nowait(broken(grpc.StatusCode.UNAVAILABLE))
        await eventually(lambda: len(client.opened) == 2)

    assert client.nacked == {"2"}
    await subscription._extend()
    assert client.modified[-1] == (["1", "copy"], LEASE_SECONDS)
    await subscription.ack([taken])
    assert client.all_acked == ["1", "copy"]
    await subscription.give_all_back()
    assert client.nacked == {"2"}


async def test_another_error_of_the_service_is_survived_too(
    client: FakeSubscriber, subscription: Subscription
) -> None:
    client.stream.put_nowait(broken(grpc.StatusCode.NOT_FOUND))
    async with pulling(subscription):
        await eventually(lambda: len(client.opened) == 2)


async def test_leases_are_extended_from_when_it_was_asked(
    client: FakeSubscriber, subscription: Subscription
) -> None:
    held = [delivery(b"", lease_until=time.monotonic() + 30) for _ in range(2)]
    subscription._take(held)
    asked_at = time.monotonic()

    await subscription._extend()

    assert client.modified == [([each.ack_id for each in held], LEASE_SECONDS)]
    for each in held:
        assert asked_at + LEASE_SECONDS <= each.lease_until <= time.monotonic() + LEASE_SECONDS


async def test_a_lease_that_has_run_out_is_not_extended(
    client: FakeSubscriber, subscription: Subscription
) -> None:
    lost, held = delivery(b"", lease_until=0.0), delivery(b"", lease_until=math.inf)
    subscription._take([lost, held])

    await subscription._extend()

    assert lost.lost
    assert client.modified == [([held.ack_id], LEASE_SECONDS)]
    assert lost.lease_until == 0.0


async def test_a_lease_that_ran_out_before_the_answer_came_is_lost(
    subscription: Subscription, client: FakeSubscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = time.monotonic() + 0.05
    late, held = delivery(b"", lease_until=until), delivery(b"", lease_until=math.inf)
    subscription._take([late, held])

    async def answer_late(**_how: object) -> None:
        await asyncio.sleep(0.1)

    monkeypatch.setattr(client, "modify_ack_deadline", answer_late)
    await subscription._extend()

    assert late.lease_until == until
    assert held.lease_until < math.inf


async def test_an_extension_that_fails_leaves_the_lease_as_it_was(
    client: FakeSubscriber, subscription: Subscription
) -> None:
    until = time.monotonic() + 30
    held = delivery(b"", lease_until=until)
    subscription._take([held])
    client.failures.append(NotFound("no such subscription"))

    await subscription._extend()

    assert held.lease_until == until


async def test_leases_are_extended_as_long_as_the_block_runs(
    client: FakeSubscriber, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXTEND_AFTER", 0.0005)
    subscription._take([delivery(b"")])

    async with subscription.leasing():
        await eventually(lambda: len(client.modified) >= 3)
    after = len(client.modified)
    await asyncio.sleep(0.1)
    assert len(client.modified) == after


async def test_what_was_acked_is_neither_extended_nor_given_back(
    client: FakeSubscriber, subscription: Subscription
) -> None:
    done, left = delivery(b""), delivery(b"")
    subscription._take([done, left])

    await subscription.ack([done])
    await subscription._extend()
    await subscription.give_all_back()

    assert client.modified == [([left.ack_id], LEASE_SECONDS), ([left.ack_id], 0)]
    assert len(subscription.queues) == 0


@pytest.mark.parametrize("count", [0, 1, module.ACK_IDS_A_REQUEST, module.ACK_IDS_A_REQUEST + 1])
async def test_acks_are_sent_in_requests_that_the_service_takes(
    client: FakeSubscriber, subscription: Subscription, count: int
) -> None:
    deliveries = [delivery(b"") for _ in range(count)]

    await subscription.ack(deliveries)

    assert client.all_acked == [each.ack_id for each in deliveries]
    assert all(len(ack_ids) <= module.ACK_IDS_A_REQUEST for ack_ids in client.acked)
    assert len(client.acked) == math.ceil(count / module.ACK_IDS_A_REQUEST)


async def test_an_ack_is_tried_again_when_the_service_is_away(
    client: FakeSubscriber, subscription: Subscription
) -> None:
    client.failures.append(ServiceUnavailable("restarting"))
    one = delivery(b"")

    await subscription.ack([one])

    assert client.all_acked == [one.ack_id]


async def test_an_ack_that_fails_for_good_ends_nothing(
    client: FakeSubscriber, subscription: Subscription
) -> None:
    client.failures.append(NotFound("gone"))

    await subscription.ack([delivery(b"")])

    assert client.acked == []
