"""Clients that send a byte a second next to a normal one. Figures: tests.support.slow_clients."""

from tests.support.server import Server
from tests.support.slow_clients import measured

ATTEMPTS = 4


async def test_fifty_slow_clients_do_not_slow_a_normal_one_by_half(server: Server) -> None:
    ratios = []
    # Both are timed in turns, so a busy machine slows both. The further attempts are for a burst of
    # other work during only one of them.
    for _ in range(ATTEMPTS):
        ratios.append((await measured(server.port, rounds=3, requests=100)).ratio)
        if ratios[-1] < 1.5:
            return
    raise AssertionError(f"p99 with slow clients over p99 alone: {ratios}")
