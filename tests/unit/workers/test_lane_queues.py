import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from ops.rig import eventually
from schema import lane_name, lane_of_ordering_key
from tests.support.deliveries import delivery
from tests.support.fake_clock import FakeClock
from workers.lane_queues import BatchLimits, Delivery, LaneBatch, LaneQueues


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(100.0)


def queues_of(clock: FakeClock, **limits: object) -> LaneQueues:
    given = {"messages": 3, "bytes": 1000, "max_wait": 10.0, "eager": False, "jobs": 2} | limits
    return LaneQueues(32, BatchLimits(**given), clock)  # type: ignore[arg-type]


def arrived(lane: int, clock: FakeClock, data: bytes = b"x") -> Delivery:
    made = delivery(data, id="x", ordering_key=lane_name(lane))
    made.arrived_at = clock.now
    return made


async def taken(queues: LaneQueues) -> LaneBatch:
    async with asyncio.timeout(10):
        batch = await queues.next_batch()
    assert batch is not None
    return batch


async def is_empty(queues: LaneQueues) -> bool:
    """Whether no batch closes now."""
    task = asyncio.ensure_future(queues.next_batch())
    for _ in range(5):
        await asyncio.sleep(0)
    done = task.done()
    task.cancel()
    return not done


async def test_a_batch_closes_when_its_first_delivery_is_old_enough(
    clock: FakeClock,
) -> None:
    queues = queues_of(clock)
    queues.put([arrived(1, clock)])
    assert await is_empty(queues)
    clock.now += 9
    queues.put([arrived(1, clock)])
    assert await is_empty(queues)
    clock.now += 1
    assert len((await taken(queues)).deliveries) == 2


async def test_a_full_batch_closes_immediately_and_the_rest_stays_in_order(
    clock: FakeClock,
) -> None:
    queues = queues_of(clock)
    sent = [arrived(1, clock) for _ in range(7)]
    queues.put(sent)
    first = await taken(queues)
    queues.release(1)
    second = await taken(queues)
    assert first.deliveries + second.deliveries == sent[:6]
    queues.release(1)
    assert await is_empty(queues)


async def test_a_batch_closes_before_a_message_that_would_pass_its_bytes(
    clock: FakeClock,
) -> None:
    queues = queues_of(clock)
    queues.put([arrived(1, clock, b"x" * 600), arrived(1, clock, b"y" * 600)])
    assert [each.data[:1] for each in (await taken(queues)).deliveries] == [b"x"]


async def test_a_single_message_may_be_larger_than_a_batch(clock: FakeClock) -> None:
    queues = queues_of(clock)
    queues.put([arrived(1, clock, b"x" * 5000)])
    assert len((await taken(queues)).deliveries) == 1


async def test_a_lane_has_one_batch_in_flight_and_holds_up_no_other(
    clock: FakeClock,
) -> None:
    queues = queues_of(clock, max_wait=0)
    queues.put([arrived(1, clock), arrived(2, clock)])
    assert (await taken(queues)).lane == 1
    queues.put([arrived(1, clock)])
    assert (await taken(queues)).lane == 2
    assert await is_empty(queues)
    queues.release(1)
    assert (await taken(queues)).lane == 1


async def test_so_many_jobs_run_side_by_side_and_no_more(clock: FakeClock) -> None:
    queues = queues_of(clock, max_wait=0, jobs=2)
    queues.put([arrived(lane, clock) for lane in range(3)])
    await taken(queues)
    await taken(queues)
    assert await is_empty(queues)
    queues.release(0)
    assert (await taken(queues)).lane == 2


async def test_the_lane_that_waits_longest_goes_first(clock: FakeClock) -> None:
    queues = queues_of(clock)
    queues.put([arrived(9, clock)])
    clock.now += 1
    queues.put([arrived(2, clock)])
    clock.now += 10
    assert (await taken(queues)).lane == 9


async def test_where_a_job_costs_nothing_an_idle_worker_does_not_wait(
    clock: FakeClock,
) -> None:
    queues = queues_of(clock, eager=True)
    queues.put([arrived(1, clock)])
    clock.now += 0.01
    assert (await taken(queues)).lane == 1
    queues.put([arrived(2, clock)])
    clock.now += 0.01
    assert await is_empty(queues)  # another is in flight: gather meanwhile
    queues.release(1)
    assert (await taken(queues)).lane == 2


async def test_a_closed_queue_ends_the_wait(clock: FakeClock) -> None:
    queues = queues_of(clock)
    waiting = asyncio.ensure_future(queues.next_batch())
    await asyncio.sleep(0)
    queues.close()
    assert await asyncio.wait_for(waiting, 60) is None


async def test_a_delivery_ends_the_wait_of_real_time() -> None:
    queues = LaneQueues(32, BatchLimits(3, 1000, 0.01, eager=False, jobs=1))
    waiting = asyncio.ensure_future(queues.next_batch())
    queues.put([delivery(b"x", ordering_key="lane-05")])
    await eventually(waiting.done)
    assert (await waiting or LaneBatch(-1, [])).lane == 5


async def test_drained_deliveries_are_gone(clock: FakeClock) -> None:
    queues = queues_of(clock, max_wait=0)
    queues.put([arrived(1, clock), arrived(2, clock)])
    assert len(queues) == 2
    assert len(queues.drain()) == 2
    assert len(queues) == 0
    assert await is_empty(queues)


@given(st.lists(st.tuples(st.integers(0, 31), st.integers(1, 2000)), max_size=60))
def test_every_delivery_is_taken_once_and_each_lane_in_order(
    sent: list[tuple[int, int]],
) -> None:
    clock = FakeClock(100.0)
    deliveries = [arrived(lane, clock, b"x" * size) for lane, size in sent]

    async def take_all() -> list[Delivery]:
        queues = queues_of(clock, max_wait=0, jobs=32)
        queues.put(deliveries)
        found: list[Delivery] = []
        while len(queues):
            batch = await taken(queues)
            assert len(batch.deliveries) <= 3
            assert len({each.ordering_key for each in batch.deliveries}) == 1
            found += batch.deliveries
            queues.release(batch.lane)
        return found

    found = asyncio.run(take_all())
    assert len(found) == len(deliveries)
    for lane in range(32):
        own = [each for each in found if lane_of_ordering_key(each.ordering_key) == lane]
        assert own == [each for each in deliveries if each.ordering_key == lane_name(lane)]


async def test_a_lane_shows_the_age_of_its_oldest_message_until_it_is_settled(
    clock: FakeClock,
) -> None:
    def age() -> float:
        labels = {"lane": lane_name(7)}
        found = REGISTRY.get_sample_value("gatekeeper_lane_oldest_seconds", labels)
        assert found is not None
        return found

    queues = queues_of(clock, max_wait=0.0)
    assert age() == 0
    first, second = arrived(7, clock), arrived(7, clock)
    first.publish_time = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    second.publish_time = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    queues.put([first])
    assert 7_200 <= age() < 9_000
    batch = await taken(queues)
    queues.put([second])
    assert 7_200 <= age() < 9_000, "it is in flight"
    queues.release(batch.lane)
    assert 3_600 <= age() < 5_400
    assert queues.drain() == [second]
    assert age() == 0
