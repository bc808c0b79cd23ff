from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ops.notify import Outbox
from ops.notify.outbox import KEPT_SECONDS, MAX_WAITING, RejectedTransaction

URL, OTHER = "https://a.example", "https://b.example"
ONE = RejectedTransaction("t1", "shop", "type_conflict", "because", 100.0, ("orders",))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "notify" / "outbox.sqlite"


@pytest.fixture
def outbox(file: Path) -> Iterator[Outbox]:
    with closing(Outbox(file)) as opened:
        yield opened


def add(outbox: Outbox, *rejected: RejectedTransaction, url: str = URL, now: float = 130) -> int:
    return outbox.add([(each, {url: "orders"}) for each in rejected], now)


def test_rejections_of_a_minute_are_one_notification(outbox: Outbox) -> None:
    add(outbox, ONE, ONE._replace(id="t2", error="another", at=90.0), now=121)
    add(outbox, ONE._replace(id="t3", at=110.0), now=179)

    assert outbox.due(179) == {}, "the minute is not over"
    [found] = outbox.due(180)[URL]
    assert (found.total, found.first_at, found.last_at) == (3, 90.0, 110.0)
    assert (found.ids, found.error) == (("t1", "t2", "t3"), "because")


def test_another_source_table_reason_or_minute_is_another_notification(outbox: Outbox) -> None:
    add(outbox, ONE, ONE._replace(source="x"), ONE._replace(reason="too_large"))
    outbox.add([(ONE, {URL: "lines", OTHER: "orders"})], 130)
    add(outbox, ONE, now=190)
    assert {url: len(found) for url, found in outbox.due(1_000).items()} == {URL: 5, OTHER: 1}


def test_a_notification_names_twenty_and_counts_all(outbox: Outbox) -> None:
    add(outbox, *(ONE._replace(id=f"t{number}") for number in range(50)))
    [found] = outbox.due(1_000)[URL]
    assert (len(found.ids), found.total) == (20, 50)


def test_what_is_gathered_survives_the_process(file: Path) -> None:
    with closing(Outbox(file)) as first:
        add(first, ONE)
        first.failed(URL, "down", 500)
    with closing(Outbox(file)) as second:
        assert second.due(499) == {}
        assert len(second.due(500)[URL]) == 1
        assert second.failures(URL) == 1


def test_a_failing_receiver_delays_only_its_own(outbox: Outbox) -> None:
    add(outbox, ONE)
    add(outbox, ONE, url=OTHER)
    outbox.failed(URL, "down", 1_000)
    assert list(outbox.due(999)) == [OTHER]
    outbox.sent(outbox.due(1_000)[URL][0])
    assert (outbox.failures(URL), outbox.receivers()) == (0, [])


def test_a_receiver_that_is_off_gets_nothing_until_it_is_on(outbox: Outbox) -> None:
    add(outbox, ONE)
    assert outbox.switch_off(URL, "410") == 1
    add(outbox, ONE)
    assert outbox.due(10_000) == {}
    [state] = outbox.receivers()
    assert (state.url, state.error, state.is_off) == (URL, "410", True)

    outbox.switch_on(URL)
    add(outbox, ONE)
    assert len(outbox.due(10_000)[URL]) == 1


def test_a_receivers_oldest_make_room(outbox: Outbox) -> None:
    add(outbox, ONE, url=OTHER)
    dropped = [
        add(outbox, *(ONE._replace(reason=f"{number}") for number in range(part, part + 100)))
        for part in range(0, MAX_WAITING + 200, 100)
    ]
    assert sum(dropped) == 200
    found = outbox.due(1_000)
    assert (len(found[URL]), len(found[OTHER])) == (MAX_WAITING, 1)


def test_a_day_later_it_is_dropped(outbox: Outbox) -> None:
    add(outbox, ONE, now=0)
    assert outbox.expire(60 + KEPT_SECONDS) == 0
    assert outbox.waiting(60 + KEPT_SECONDS) == (1, KEPT_SECONDS)
    assert outbox.expire(61 + KEPT_SECONDS) == 1
    assert outbox.waiting(61 + KEPT_SECONDS) == (0, 0)


def test_texts_are_cut(outbox: Outbox) -> None:
    add(outbox, ONE._replace(error="x" * 5_000, source="y" * 5_000))
    [found] = outbox.due(1_000)[URL]
    assert (len(found.error), len(found.source)) == (1_000, 1_000)
