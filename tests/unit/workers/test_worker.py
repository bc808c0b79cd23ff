import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from google.api_core.exceptions import ServiceUnavailable

from ops.rig import eventually
from ops.runtime import metrics
from ops.runtime.warehouse_errors import OutcomeUnknown, WarehouseUnavailable
from tests.support.deliveries import body, delete, insert, number
from tests.support.fake_subscriber import FakeSubscriber, response
from tests.support.fake_warehouse import FakeWarehouse
from workers.catalog import CatalogCache
from workers.commit import CommitSettings, Committer
from workers.jobs import Deadline
from workers.lane_queues import BatchLimits, LaneQueues
from workers.outcomes import Outcome
from workers.rejection_limit import MIN_REJECTIONS, RejectionLimit
from workers.sql import Script
from workers.subscription import Subscription
from workers.worker import Patience, Worker


class FakeDeadLetters:
    """Keeps what is published; `failures` are raised first."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.failures: list[Exception] = []

    async def publish(self, outcomes: list[Outcome]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.published += [each.message.message.id for each in outcomes if each.rejection]


class Stage:
    """A worker on fakes."""

    def __init__(self, share: float = 1.0, drain: float = 10.0) -> None:
        self.client, self.warehouse = FakeSubscriber(), FakeWarehouse()
        self.dead_letters = FakeDeadLetters()
        limits = BatchLimits(messages=3, bytes=10**6, max_wait=0.01, eager=True, jobs=4)
        self.queues = LaneQueues(32, limits)
        self.subscription = Subscription(
            self.client,  # type: ignore[arg-type]  # what the subscription calls of it
            "path",
            self.queues,
            lease_seconds=60,
            max_messages=1000,
            max_bytes=10**6,
        )
        committer = Committer(
            self.warehouse,  # type: ignore[arg-type]  # has the methods
            CatalogCache(self.warehouse),
            RejectionLimit(share),
            CommitSettings("w", 32),
        )
        self.worker = Worker(
            self.subscription,
            self.queues,
            committer,
            self.dead_letters,  # type: ignore[arg-type]  # has the method
            Patience(drain=drain, longest_pause=0.01, resume_poll=0.01),
        )
        self.stop = asyncio.Event()

    def send(self, *messages: tuple[str, bytes], lane: str = "lane-01", source: str = "") -> None:
        """Let the service deliver, by ack id, which is the transaction's id too."""
        self.client.stream.put_nowait(response(*messages, ordering_key=lane, source=source))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.worker.run(self.stop))
        try:
            yield task
        finally:
            self.stop.set()
            async with asyncio.timeout(30):
                await task

    def values(self) -> list[str | None]:
        return [row["a"] for row in self.warehouse.rows["t"]]


@pytest.fixture
async def stage() -> Stage:
    return Stage()


def inserted(value: int) -> bytes:
    return body(insert("t", a=number(value)))


async def test_what_is_delivered_is_applied_in_order_and_then_acked(stage: Stage) -> None:
    stage.send(*((str(i), inserted(i)) for i in range(7)))
    async with stage.running():
        await eventually(lambda: len(stage.client.all_acked) == 7)
    assert stage.values() == [str(i) for i in range(7)]
    assert stage.client.all_acked == [str(i) for i in range(7)]
    assert stage.client.nacked == set()


async def test_a_lane_in_trouble_holds_up_no_other(stage: Stage) -> None:
    commit, blocked = stage.warehouse.commit, asyncio.Event()

    async def held(script: Script, left: Deadline) -> None:
        if script.settlement.lane == 1:
            await blocked.wait()
        await commit(script, left)

    stage.warehouse.commit = held  # type: ignore[method-assign]
    stage.send(("slow", inserted(1)), lane="lane-01")
    async with stage.running():
        for i in range(5):
            stage.send((f"{i}", inserted(i)), lane="lane-02")
        await eventually(lambda: len(stage.client.all_acked) == 5)
        assert "slow" not in stage.client.all_acked
        blocked.set()
        await eventually(lambda: "slow" in stage.client.all_acked)


async def test_a_rejected_transaction_is_dead_lettered_before_the_ack(stage: Stage) -> None:
    stage.dead_letters.failures.append(ServiceUnavailable("not yet"))
    stage.send(("good", inserted(1)), ("bad", body(delete("gone", a=number(1)))), ("worse", b"{"))
    async with stage.running():
        await eventually(lambda: len(stage.client.all_acked) == 3)
    assert stage.dead_letters.published == ["bad", "worse"]
    assert len(stage.warehouse.settled()) == 3


@pytest.mark.parametrize("failure", [WarehouseUnavailable("down"), OutcomeUnknown("?")])
async def test_nothing_is_acked_or_given_back_while_the_warehouse_is_away(
    stage: Stage, failure: Exception
) -> None:
    stage.warehouse.failures.extend([WarehouseUnavailable("down"), failure])
    stage.send(("1", inserted(1)))
    async with stage.running():
        await eventually(lambda: len(stage.warehouse.commits) >= 1)
        await eventually(lambda: stage.client.all_acked == ["1"])
    assert stage.client.nacked == set()
    assert stage.values() == ["1"]


@pytest.mark.parametrize("share", [0.5, 1.0])
async def test_a_worker_that_would_reject_everybody_halts_and_keeps_the_topic_whole(
    share: float,
) -> None:
    stage = Stage(share)
    count = 2 * MIN_REJECTIONS
    ids = [str(number) for number in range(count)]
    for each in ids:
        gone = body(delete(f"gone{int(each) % 5}", a=number(1)))
        stage.send((each, gone), source=f"team {int(each) % 3}")
    async with stage.running() as task:
        if share == 1.0:  # what happens without the limit
            await eventually(lambda: len(stage.client.all_acked) == count)
            assert stage.dead_letters.published == ids
            return
        await eventually(lambda: metrics.HALTED._value.get() == 1)
        await eventually(lambda: stage.client.nacked)
        assert not task.done()

        def ended() -> bool:
            stage.warehouse.resumes += 1
            return task.done()

        await eventually(ended)
    metrics.HALTED.set(0)
    metrics.HALT_REJECTIONS.clear()
    assert stage.client.all_acked == stage.dead_letters.published
    assert len(stage.client.all_acked) < MIN_REJECTIONS


async def test_a_batch_whose_leases_are_lost_goes_back_with_all_that_is_behind_it(
    stage: Stage,
) -> None:
    stage.warehouse.failures.extend([WarehouseUnavailable("down")] * 10_000)
    stage.send(*((str(i), inserted(i)) for i in range(5)))
    async with stage.running():
        await eventually(lambda: len(stage.warehouse.commits) >= 2)
        for each in stage.subscription._outstanding.values():
            each.lease_until = 0.0
        await eventually(lambda: stage.client.nacked == {"0", "1", "2", "3", "4"})
        stage.warehouse.failures.clear()
        stage.send(("0", inserted(0)))  # it comes back
        await eventually(lambda: stage.client.all_acked == ["0"])
    assert stage.values() == ["0"]


async def test_a_stopping_worker_finishes_its_batch_and_gives_the_rest_back(stage: Stage) -> None:
    commit, started, go_on = stage.warehouse.commit, asyncio.Event(), asyncio.Event()

    async def slow(script: Script, left: Deadline) -> None:
        started.set()
        await go_on.wait()
        await commit(script, left)

    stage.warehouse.commit = slow  # type: ignore[method-assign]
    stage.send(*((str(i), inserted(i)) for i in range(5)))  # a batch is 3
    async with stage.running():
        await asyncio.wait_for(started.wait(), 60)
        await eventually(lambda: len(stage.queues) == 2)
        stage.stop.set()
        await eventually(lambda: stage.queues.closed)
        go_on.set()
    assert stage.client.all_acked == ["0", "1", "2"]
    assert stage.client.nacked == {"3", "4"}


async def test_a_stopping_worker_gives_back_what_it_cannot_finish_in_time() -> None:
    stage = Stage(drain=0.2)
    stage.warehouse.failures.extend([WarehouseUnavailable("down")] * 10_000)
    stage.send(("1", inserted(1)))
    async with stage.running():
        await eventually(lambda: len(stage.warehouse.commits) >= 1)
    assert stage.client.acked == []
    assert stage.client.nacked == {"1"}


async def test_another_number_of_lanes_halts_the_worker(stage: Stage) -> None:
    stage.warehouse.lanes = 16
    stage.send(("1", inserted(1)))
    async with stage.running():
        await eventually(lambda: metrics.HALTED._value.get() == 1)
        await eventually(lambda: stage.client.nacked == {"1"})
    metrics.HALTED.set(0)


async def test_a_failure_that_nothing_handles_ends_the_worker_and_gives_all_back(
    stage: Stage,
) -> None:
    stage.warehouse.failures.append(ZeroDivisionError("a bug"))
    stage.send(("1", inserted(1)))
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(30):
            await stage.worker.run(stage.stop)
    assert caught.group_contains(ZeroDivisionError)
    assert stage.client.acked == []
    assert stage.client.nacked == {"1"}
