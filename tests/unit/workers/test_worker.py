import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.api_core.exceptions import ServiceUnavailable

from ops.runtime import metrics
from ops.runtime.settings import Settings
from tests.support.deliveries import body, delete, insert, number
from tests.support.fake_subscriber import FakeSubscriber, response
from tests.support.fake_warehouse import FakeWarehouse
from tests.support.holder import start_holder
from tests.support.processes import eventually
from workers import worker as module
from workers.apply import Applier, Outcome
from workers.claims import Claims
from workers.guard_rail import LEAST, GuardRail
from workers.subscription import Subscription
from workers.turns import Turns
from workers.unused import Unused
from workers.warehouse import Fence, OutcomeUnknown, WarehouseUnavailable
from workers.worker import Worker


class FakeDeadLetters:
    """Keeps what is published; `failures` are raised first."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.failures: list[Exception] = []

    async def publish(self, outcomes: list[Outcome]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.published += [each.entry.message.id for each in outcomes if each.rejection]


class Stage:
    """A worker on fakes."""

    def __init__(self, folder: Path, share: float = 1.0) -> None:
        environ = {"STATE_DIR": str(folder), "LEASE_SECONDS": "60", "BATCH_MAX_MESSAGES": "3"}
        settings = Settings.load(environ, dotenv=folder / "no.env")
        self.client, self.warehouse = FakeSubscriber(), FakeWarehouse()
        self.dead_letters = FakeDeadLetters()
        self.subscription = Subscription(
            self.client, "path", lease_seconds=60, max_messages=100, max_bytes=10**6
        )
        self.applier = Applier(
            self.warehouse, "p.d", "w", GuardRail(share), Unused(folder / "unused")
        )
        self.worker = Worker(
            self.subscription,
            self.applier,
            self.dead_letters,
            Claims(folder / "claims"),
            Turns(folder / "turns"),
            settings,
        )
        self.stop = asyncio.Event()

    def send(self, *messages: tuple[str, bytes]) -> None:
        """Let the service deliver, by ack id, which is the transaction's id too."""
        self.client.stream.put_nowait(response(*messages))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.worker.run(self.stop))
        try:
            yield task
        finally:
            self.stop.set()
            async with asyncio.timeout(30):
                await task


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def _insert(value: int) -> bytes:
    return body(insert("t", a=number(value)))


async def test_what_is_delivered_is_applied_in_order_and_then_acked(stage: Stage) -> None:
    stage.send(*((str(i), _insert(i)) for i in range(7)))
    async with stage.running():
        await eventually(lambda: len(stage.client.all_acked) == 7)

    assert [row["a"] for row in stage.warehouse.rows["t"]] == [str(i) for i in range(7)]
    assert stage.client.all_acked == [str(i) for i in range(7)]
    assert stage.client.nacked == set()


async def test_a_batch_that_waits_for_its_turn_takes_along_what_comes_in(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    take = Turns._take

    def counted(turns: Turns, slot: int, *, alone: bool) -> bool:
        asked.append(slot)
        return take(turns, slot, alone=alone)

    monkeypatch.setattr(Turns, "_take", counted)
    held = "Turns(pathlib.Path(path)).held({'t': True}, lambda: 10)"
    other = start_holder(tmp_path / "turns", held)
    async with stage.running():
        stage.send(("1", _insert(1)))
        await eventually(lambda: asked)
        stage.send(("2", _insert(2)), ("u", body(insert("u", a=number(1)))), ("3", _insert(3)))
        await eventually(lambda: len(stage.subscription.inbox) == 2)
        other.kill()
        await eventually(lambda: len(stage.client.all_acked) == 4)

    assert stage.warehouse.commits[0] == ["1", "2"], "what is behind another table's stays behind"
    assert stage.client.all_acked == ["1", "2", "u", "3"]
    assert [row["a"] for row in stage.warehouse.rows["t"]] == ["1", "2", "3"]


async def test_a_rejected_transaction_is_dead_lettered_before_the_ack(stage: Stage) -> None:
    stage.dead_letters.failures.append(ServiceUnavailable("not yet"))
    stage.send(("good", _insert(1)), ("bad", body(delete("gone", a=number(1)))), ("worse", b"{"))
    async with stage.running():
        await eventually(lambda: len(stage.client.all_acked) == 3)

    assert stage.dead_letters.published == ["bad", "worse"]
    assert len(stage.warehouse.settled()) == 3


@pytest.mark.parametrize("failure", [WarehouseUnavailable("down"), OutcomeUnknown("?")])
async def test_nothing_is_acked_or_given_back_while_the_warehouse_is_away(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.01)
    stage.warehouse.failures.extend([failure] * 5)
    stage.send(("1", _insert(1)))
    async with stage.running():
        await eventually(lambda: len(stage.warehouse.commits) >= 3)
        if stage.warehouse.failures:
            assert stage.client.acked == []
        await eventually(lambda: stage.client.all_acked == ["1"])

    assert stage.client.nacked == set()
    assert [row["a"] for row in stage.warehouse.rows["t"]] == ["1"]


@pytest.mark.parametrize("share", [0.5, 1.0])
async def test_a_worker_that_would_reject_everything_halts_and_keeps_the_topic_whole(
    tmp_path: Path, share: float
) -> None:
    stage = Stage(tmp_path, share)
    count = 3 * LEAST
    ids = [str(number) for number in range(count)]
    for each in ids:
        stage.send((each, body(delete("gone", a=number(1)))))
    async with stage.running() as task:
        if share == 1.0:  # what happens without the guard rail
            await eventually(lambda: len(stage.client.all_acked) == count)
            assert stage.dead_letters.published == ids
            return
        await eventually(lambda: metrics.HALTED._value.get() == 1)
        acked = list(stage.client.all_acked)
        await eventually(lambda: stage.client.nacked)
        assert not task.done(), "it stays, and tells"
    metrics.HALTED.set(0)
    assert stage.client.all_acked == acked == stage.dead_letters.published
    assert len(acked) < LEAST


async def test_a_batch_whose_leases_are_lost_goes_back_with_all_that_is_behind_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.01)
    stage.warehouse.failures.extend([WarehouseUnavailable("down")] * 10_000)
    stage.send(*((str(i), _insert(i)) for i in range(5)))
    async with stage.running():
        await eventually(lambda: len(stage.warehouse.commits) >= 2)
        for each in stage.subscription._outstanding.values():
            each.lease_until = 0.0
        await eventually(lambda: stage.client.nacked == {"0", "1", "2", "3", "4"})
        stage.warehouse.failures.clear()
        stage.send(("0", _insert(0)))  # it comes back
        await eventually(lambda: stage.client.all_acked == ["0"])

    assert [row["a"] for row in stage.warehouse.rows["t"]] == ["0"]


async def test_a_stopping_worker_finishes_its_batch_and_gives_the_rest_back(stage: Stage) -> None:
    commit, started, go_on = stage.warehouse.commit, asyncio.Event(), asyncio.Event()

    async def slow(script: object, fence: Fence) -> None:
        started.set()
        await go_on.wait()
        await commit(script, fence)  # type: ignore[arg-type]

    stage.warehouse.commit = slow  # type: ignore[method-assign, assignment]
    stage.send(*((str(i), _insert(i)) for i in range(5)))  # a batch is 3
    async with stage.running():
        await asyncio.wait_for(started.wait(), 10)
        await eventually(lambda: len(stage.subscription.inbox) == 2)
        stage.stop.set()
        await eventually(lambda: stage.subscription.inbox.closed)
        go_on.set()

    assert stage.client.all_acked == ["0", "1", "2"]
    assert stage.client.nacked == {"3", "4"}


async def test_a_stopping_worker_gives_back_what_it_cannot_finish_in_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.2)
    stage.warehouse.failures.extend([WarehouseUnavailable("down")] * 10_000)
    stage.send(("1", _insert(1)))
    async with stage.running():
        await eventually(lambda: len(stage.warehouse.commits) >= 1)

    assert stage.client.acked == []
    assert stage.client.nacked == {"1"}


async def test_a_failure_that_nothing_handles_ends_the_worker_and_gives_all_back(
    stage: Stage,
) -> None:
    stage.warehouse.failures.append(ZeroDivisionError("a bug"))
    stage.send(("1", _insert(1)))

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(30):
            await stage.worker.run(stage.stop)

    assert caught.group_contains(ZeroDivisionError)
    assert stage.client.acked == []
    assert stage.client.nacked == {"1"}
