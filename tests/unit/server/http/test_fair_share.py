import asyncio

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from server.http.auth import SOURCE
from server.http.fair_share import (
    OTHERS_SECONDS,
    STEP_SECONDS,
    FairLimit,
    FairTurns,
    Steps,
    _network,
    source_of,
)
from server.http.refusal import UNAVAILABLE, Refusal
from tests.support.fake_clock import FakeClock


def fill(limit: FairLimit, source: str) -> int:
    """Take until it is refused; return how much was taken."""
    for taken in range(1_000):
        try:
            limit.take(source)
        except Refusal:
            return taken
    raise AssertionError


def test_a_source_alone_holds_nearly_all_and_while_others_ask_half() -> None:
    clock = FakeClock(1_000.0)
    limit = FairLimit(16, "requests", clock=clock)
    assert fill(limit, "a") == 14
    assert fill(limit, "b") == 2  # the rest was left for it

    for _ in range(14):
        limit.give_back("a")
    assert fill(limit, "a") == 8
    assert fill(limit, "b") == 6
    clock.now += OTHERS_SECONDS
    limit.give_back("b", 8)
    assert fill(limit, "b") == 8  # the others have held on to theirs, and ask no more


def test_what_is_held_long_is_halved_always() -> None:
    limit = FairLimit(16, "batches", always_half=True)
    assert fill(limit, "a") == 8
    assert fill(limit, "b") == 8
    assert fill(limit, "c") == 0


def test_the_refusal_is_503_and_the_client_may_come_again_soon() -> None:
    limit = FairLimit(1, "requests")
    limit.take("a")
    with pytest.raises(Refusal) as refused:
        limit.take("a")
    assert (refused.value.kind, refused.value.headers) == (UNAVAILABLE, {"Retry-After": "1"})


def test_a_limit_of_one_still_lets_one_in() -> None:
    limit = FairLimit(1, "requests")
    assert fill(limit, "a") == 1
    limit.give_back("a")
    assert fill(limit, "b") == 1


def test_a_block_that_fails_is_no_longer_in_flight() -> None:
    limit = FairLimit(1, "requests")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limit.holding("a"):
            raise ZeroDivisionError
    assert limit.held == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.booleans()), max_size=60))
def test_the_count_is_what_the_sources_hold_and_never_over_the_limit(
    steps: list[tuple[str, int, bool]],
) -> None:
    limit = FairLimit(20, "bytes")
    held = dict.fromkeys("abc", 0)
    for source, count, give in steps:
        if give and held[source] >= count:
            limit.give_back(source, count)
            held[source] -= count
        else:
            try:
                limit.take(source, count)
            except Refusal:
                continue
            held[source] += count
        assert limit.held == sum(held.values()) <= 20
        assert all(each <= 18 for each in held.values())


def test_a_source_is_the_api_key_or_else_the_network_of_the_address() -> None:
    request = make_mocked_request("POST", "/")
    assert source_of(request) == (request.remote or "")
    request[SOURCE] = "billing"
    assert source_of(request) == "billing"
    assert _network("192.0.2.7") == "192.0.2.7"
    assert _network("2001:db8::1") == _network("2001:db8::2:3") != _network("2001:db8:1::1")
    assert _network("fe80::1%eth0") == "fe80::/64"
    assert _network("") == ""


async def test_sources_take_turns_however_many_blocks_one_has() -> None:
    turns = FairTurns()
    order: list[str] = []

    async def block(source: str) -> None:
        async with turns.turn(source):
            order.append(source)
            await asyncio.sleep(0)

    await asyncio.gather(*(block("many") for _ in range(20)), block("one"), block("other"))
    assert order.index("one") < 3
    assert order.index("other") < 4


async def test_long_work_gives_the_loop_its_turn_and_short_work_does_not_wait() -> None:
    clock = FakeClock(1_000.0)
    other = 0

    async def count() -> None:
        nonlocal other
        while True:
            other += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    steps = Steps(FairTurns(), "a", clock)
    for _ in range(100):
        await steps.next()
    assert other == 0
    for _ in range(100):
        clock.now += STEP_SECONDS
        await steps.next()
    assert other >= 100
    counting.cancel()
