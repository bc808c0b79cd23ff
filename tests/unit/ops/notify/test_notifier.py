import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ops.notify import Outbox, Reply
from ops.notify.notification import Notification
from ops.notify.notifier import Notifier, wait_seconds
from ops.notify.outbox import RejectedTransaction
from tests.support.fake_clock import FakeClock

URL, OTHER = "https://a.example", "https://b.example"


class FakeWebhooks:
    """Answers as `reply` says; what is sent to a URL in `hanging` waits for its event."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.reply: Callable[[str], int] = lambda _: 200
        self.hanging: dict[str, asyncio.Event] = {}
        self.first_sent = asyncio.Event()

    async def send(self, notification: Notification) -> Reply:
        if notification.url in self.hanging:
            await self.hanging[notification.url].wait()
        self.sent.append((notification.url, notification.reason))
        self.first_sent.set()
        return Reply(self.reply(notification.url), "")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.sqlite")) as opened:
        yield opened


@pytest.fixture
def webhooks() -> FakeWebhooks:
    return FakeWebhooks()


@pytest.fixture
def notifier(outbox: Outbox, webhooks: FakeWebhooks, clock: FakeClock) -> Notifier:
    return Notifier(outbox, webhooks, clock, share=lambda: 0.0)  # type: ignore[arg-type]


def gather(outbox: Outbox, *reasons: str, url: str = URL) -> None:
    for reason in reasons:
        one = RejectedTransaction("t1", "shop", reason, "because", 0.0, ("orders",))
        outbox.add([(one, {url: "orders"})], 0)


async def round_of(notifier: Notifier) -> None:
    async with asyncio.TaskGroup() as tasks:
        notifier.start_due(tasks)


async def test_what_is_accepted_is_sent_once(
    notifier: Notifier, outbox: Outbox, webhooks: FakeWebhooks, clock: FakeClock
) -> None:
    gather(outbox, "a", "b")
    await round_of(notifier)
    assert webhooks.sent == []
    clock.now = 60
    await round_of(notifier)
    await round_of(notifier)
    assert sorted(webhooks.sent) == [(URL, "a"), (URL, "b")]


async def test_a_failure_is_tried_again_later_and_nothing_of_it_is_lost(
    notifier: Notifier, outbox: Outbox, webhooks: FakeWebhooks, clock: FakeClock
) -> None:
    gather(outbox, "a", "b")
    webhooks.reply = lambda _: 503
    clock.now = 60
    for _ in range(3):
        await round_of(notifier)
    assert len(webhooks.sent) == 1, "the others wait too"
    clock.now = 65
    await round_of(notifier)
    assert len(webhooks.sent) == 2
    clock.now = 84
    await round_of(notifier)
    assert len(webhooks.sent) == 2, "20 s after the second"

    webhooks.reply = lambda _: 204
    clock.now = 85
    await round_of(notifier)
    assert outbox.due(10_000) == {}
    assert outbox.receivers() == []


async def test_a_hanging_receiver_holds_up_no_other(
    notifier: Notifier, outbox: Outbox, webhooks: FakeWebhooks, clock: FakeClock
) -> None:
    gather(outbox, "a")
    gather(outbox, "b", url=OTHER)
    webhooks.hanging[URL] = asyncio.Event()
    clock.now = 60
    async with asyncio.TaskGroup() as tasks:
        notifier.start_due(tasks)
        await asyncio.wait_for(webhooks.first_sent.wait(), 60)
        notifier.start_due(tasks)
        assert webhooks.sent == [(OTHER, "b")]
        webhooks.hanging[URL].set()
    assert webhooks.sent == [(OTHER, "b"), (URL, "a")], "the second round did not send it again"


async def test_a_receiver_that_answers_410_is_switched_off(
    notifier: Notifier, outbox: Outbox, webhooks: FakeWebhooks, clock: FakeClock
) -> None:
    gather(outbox, "a", "b")
    webhooks.reply = lambda _: 410
    clock.now = 60
    await round_of(notifier)
    gather(outbox, "c")
    clock.now = 10_000
    await round_of(notifier)
    assert len(webhooks.sent) == 1
    assert [each.is_off for each in outbox.receivers()] == [True]


def test_waits_grow_to_an_hour_and_are_spread() -> None:
    assert [wait_seconds(failures, 0) for failures in (1, 2, 3, 4, 5, 6, 99)] == [
        5, 20, 80, 320, 1_280, 3_600, 3_600,
    ]  # fmt: skip
    assert wait_seconds(1, 1) == 2.5
