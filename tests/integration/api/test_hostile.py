"""Hostile bodies, a few of those that `python -m tests.support.hostile` sends in their hundreds."""

from tests.support.hostile import Tally, expected, send, send_requests
from tests.support.hostile_bodies import hostile
from tests.support.hostile_requests import answer_fault, hostile_request
from tests.support.server import Server

SEED = 1
COUNT = 2_000
ROOM = 40_000_000
"""Bytes that the server may grow by: less than one copy of what it was sent."""


async def test_hostile_bodies_are_answered_as_the_rule_says_and_cost_no_memory(
    server: Server,
) -> None:
    tally = Tally()
    await send(server.url, SEED, range(COUNT // 4), tally)
    before = server.rss()
    await send(server.url, SEED, range(COUNT // 4, COUNT), tally)

    assert tally.faults == []
    assert sum(tally.statuses.values()) == COUNT
    assert set(tally.statuses) <= {200, 400, 413, 415, 503}
    assert {200, 400, 413, 415} <= set(tally.statuses)
    assert server.rss() - before < ROOM
    assert server.alive


async def test_hostile_requests_get_no_5xx_and_no_large_answer_and_cost_no_memory(
    server: Server,
) -> None:
    tally = Tally()
    await send_requests(server.port, SEED, range(100), tally)
    before = server.rss()
    await send_requests(server.port, SEED, range(100, 400), tally)

    assert tally.faults == []
    assert server.rss() - before < ROOM
    assert server.alive


def test_a_request_can_be_made_again_from_its_number() -> None:
    for number in range(200):
        assert hostile_request(SEED, number) == hostile_request(SEED, number)
    assert answer_fault(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
    assert answer_fault(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000)
    assert answer_fault(b"HTTP/1.1 503 Unavailable\r\n\r\n") is None


def test_a_body_can_be_made_again_from_its_number() -> None:
    for number in range(200):
        assert hostile(SEED, number) == hostile(SEED, number)
    assert {status for number in range(500) for status in expected(hostile(3, number))} >= {
        200,
        400,
    }
