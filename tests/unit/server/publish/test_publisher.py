import asyncio
import random
from collections.abc import AsyncIterator

import grpc
import pytest

from ops.rig import eventually
from schema import LANES, Message, lane_of
from server.publish import Publisher, PublishFailed, PublishLimits
from tests.support.lane_keys import key_of_lane
from tests.support.server_in_process import FakeTopic, rpc_error

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
OTHER = key_of_lane((lane_of("k") + 1) % LANES)
"""An ordering key of another lane than "k"."""


def message(key: str, name: str) -> Message:
    at = "2026-01-01T00:00:00+00:00"
    return Message(name.encode(), name, "", at, "0" * 64, key, lane_of(key))


@pytest.fixture
async def topic() -> FakeTopic:
    return FakeTopic()


@pytest.fixture
async def publisher(topic: FakeTopic) -> AsyncIterator[Publisher]:
    publisher = Publisher(topic, PublishLimits(seconds=5, slots=4, messages=50, bytes=100_000))
    yield publisher
    topic.open.set()
    await publisher.drain()


def published(topic: FakeTopic) -> list[str]:
    return [each.data.decode() for each in topic.messages]


async def test_what_comes_in_one_turn_of_the_loop_goes_out_in_one_call(
    topic: FakeTopic, publisher: Publisher
) -> None:
    await asyncio.gather(*(publisher.enqueue(message("k", str(n))) for n in range(20)))
    assert [len(call) for call in topic.calls] == [20]


async def test_what_gathers_during_a_call_is_the_next_call(
    topic: FakeTopic, publisher: Publisher
) -> None:
    topic.open.clear()
    first = publisher.enqueue(message("k", "first"))
    await eventually(lambda: topic.under_way)
    rest = [publisher.enqueue(message("k", str(n))) for n in range(5)]
    await asyncio.sleep(0.01)
    topic.open.set()

    await asyncio.gather(first, *rest)
    assert [len(call) for call in topic.calls] == [1, 5]


async def test_lanes_go_side_by_side_up_to_the_slots(
    topic: FakeTopic, publisher: Publisher
) -> None:
    topic.open.clear()
    outcomes = [publisher.enqueue(message(key_of_lane(n), str(n))) for n in range(7)]
    await eventually(lambda: topic.under_way)
    await asyncio.sleep(0.01)
    assert sorted(topic.under_way) == ["lane-00", "lane-01", "lane-02", "lane-03"]

    topic.open.set()
    await asyncio.gather(*outcomes)
    assert len(topic.calls) == 7


async def test_keys_of_one_lane_go_in_one_call_in_order(
    topic: FakeTopic, publisher: Publisher
) -> None:
    one, other = key_of_lane(7), key_of_lane(7, after=key_of_lane(7))
    keys = [one, other, one, other]
    await asyncio.gather(*(publisher.enqueue(message(key, str(n))) for n, key in enumerate(keys)))
    (call,) = topic.calls
    assert [each.data for each in call] == [b"0", b"1", b"2", b"3"]
    assert [each.attributes["ordering_key"] for each in call] == keys
    assert {each.ordering_key for each in call} == {"lane-07"}


async def test_one_keys_messages_keep_their_order_through_failures(
    topic: FakeTopic, publisher: Publisher
) -> None:
    # FakeTopic itself fails when one lane is in two calls at the same time.
    dice = random.Random(5)
    topic.errors = [rpc_error(UNAVAILABLE) for _ in range(3)]
    outcomes = []
    for number in range(40):
        outcomes.append(publisher.enqueue(message(key_of_lane(number % 3), str(number))))
        if dice.random() < 0.5:
            await asyncio.sleep(0)
    await asyncio.gather(*outcomes)

    for key in range(3):
        of_key = [int(name) for name in published(topic) if int(name) % 3 == key]
        assert of_key == sorted(of_key)
    assert len(published(topic)) == 40


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    ],
)
async def test_a_transient_failure_is_retried(
    topic: FakeTopic, publisher: Publisher, code: grpc.StatusCode
) -> None:
    topic.errors = [rpc_error(code)]
    await publisher.enqueue(message("k", "a"))
    assert published(topic) == ["a"]


@pytest.mark.parametrize(
    "error",
    [
        rpc_error(grpc.StatusCode.NOT_FOUND),
        rpc_error(grpc.StatusCode.PERMISSION_DENIED),
        RuntimeError("a bug"),
    ],
)
async def test_a_permanent_failure_fails_its_batch_immediately_and_no_other(
    topic: FakeTopic, publisher: Publisher, error: Exception
) -> None:
    topic.errors = [error]
    outcomes = [publisher.enqueue(message("k", str(n))) for n in range(3)]
    results = await asyncio.gather(*outcomes, return_exceptions=True)
    assert [type(result) for result in results] == [PublishFailed] * 3

    await publisher.enqueue(message("k", "next"))
    assert published(topic) == ["next"]


async def test_an_outage_fails_a_message_when_its_time_is_over(topic: FakeTopic) -> None:
    publisher = Publisher(topic, PublishLimits(seconds=0.3))
    topic.errors = [rpc_error(UNAVAILABLE) for _ in range(1000)]
    loop = asyncio.get_running_loop()

    began = loop.time()
    with pytest.raises(PublishFailed):
        await publisher.enqueue(message("k", "a"))
    assert 0.3 <= loop.time() - began < 3

    topic.errors.clear()
    await publisher.enqueue(message("k", "b"))
    assert published(topic) == ["b"]


async def test_a_message_whose_time_ran_out_in_the_queue_is_not_sent(topic: FakeTopic) -> None:
    publisher = Publisher(topic, PublishLimits(seconds=0.1))
    topic.open.clear()
    first = publisher.enqueue(message("k", "first"))
    await eventually(lambda: topic.under_way)
    late = publisher.enqueue(message("k", "late"))
    await asyncio.sleep(0.15)
    topic.open.set()

    await first
    with pytest.raises(PublishFailed):
        await late
    await publisher.drain()
    assert published(topic) == ["first"]


async def test_a_refused_message_does_not_take_its_batch_along(
    topic: FakeTopic, publisher: Publisher
) -> None:
    topic.refused = {b"2"}
    outcomes = [publisher.enqueue(message("k", str(n))) for n in range(5)]
    results = await asyncio.gather(*outcomes, return_exceptions=True)

    assert [type(each) for each in results].count(PublishFailed) == 1
    assert isinstance(results[2], PublishFailed)
    assert published(topic) == ["0", "1", "3", "4"]


async def test_what_waits_behind_a_failure_fails_with_it_so_that_none_overtakes(
    topic: FakeTopic, publisher: Publisher
) -> None:
    topic.open.clear()
    first = publisher.enqueue(message("k", "first"))
    await eventually(lambda: topic.under_way)
    behind = publisher.enqueue(message("k", "behind"))
    other = publisher.enqueue(message(OTHER, "other"))
    topic.errors = [rpc_error(grpc.StatusCode.PERMISSION_DENIED)]
    topic.open.set()

    results = await asyncio.gather(first, behind, return_exceptions=True)
    await other
    assert [type(each) for each in results] == [PublishFailed] * 2
    assert published(topic) == ["other"]


async def test_past_its_bounds_the_queue_refuses_and_recovers(topic: FakeTopic) -> None:
    for limits in (PublishLimits(messages=3), PublishLimits(bytes=700)):
        publisher = Publisher(topic, limits)
        topic.open.clear()
        outcomes = [publisher.enqueue(message("k", "n" * 100)) for _ in range(9)]
        refused = [each for each in outcomes if each.done()]
        assert 0 < len(refused) < 9
        for each in refused:
            with pytest.raises(PublishFailed):
                await each
        topic.open.set()
        await publisher.drain()
        await publisher.enqueue(message("k", "again"))


async def test_bytes_in_a_call_count_until_it_ends_well_or_not(topic: FakeTopic) -> None:
    publisher = Publisher(topic, PublishLimits(bytes=2_000))
    for error in (None, rpc_error(grpc.StatusCode.PERMISSION_DENIED)):
        topic.open.clear()
        topic.errors = [error] if error else []
        taken = publisher.enqueue(message("k", "n" * 700))
        await eventually(lambda: topic.under_way)
        with pytest.raises(PublishFailed, match="too many"):
            await publisher.enqueue(message(OTHER, "n" * 700))
        topic.open.set()
        await asyncio.wait([taken])
        taken.exception()
        await publisher.enqueue(message(OTHER, "n" * 700))


async def test_a_caller_that_gives_up_leaves_its_message_on_its_way(
    topic: FakeTopic, publisher: Publisher
) -> None:
    topic.open.clear()
    caller = publisher.enqueue(message("k", "a"))
    neighbour = publisher.enqueue(message("k", "b"))
    await eventually(lambda: topic.under_way)
    caller.cancel()
    topic.open.set()

    await neighbour
    assert published(topic) == ["a", "b"]


async def test_draining_waits_for_all_that_was_enqueued(topic: FakeTopic) -> None:
    publisher = Publisher(topic, PublishLimits(slots=1))
    outcomes = [publisher.enqueue(message(key_of_lane(n), str(n))) for n in range(5)]
    await publisher.drain()
    assert all(outcome.done() for outcome in outcomes)
    assert len(topic.messages) == 5


@pytest.mark.parametrize("code", [grpc.StatusCode.DEADLINE_EXCEEDED, UNAVAILABLE])
async def test_a_retry_says_that_an_earlier_call_may_have_published(
    topic: FakeTopic, publisher: Publisher, code: grpc.StatusCode
) -> None:
    await publisher.enqueue(message("k", "first"))
    topic.errors = [rpc_error(code)]
    await publisher.enqueue(message("k", "retried"))
    assert [each.attributes.get("copy") for each in topic.messages] == [None, "possible"]
