"""Fifty clients that send a byte a second, and what they cost a normal one.

`python -m tests.support.slow_clients` measures a normal client's answers with and without them, in
turns in one run, against a real server.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from tests.support.server import services, serving
from tests.support.server_in_process import VALID

SLOW = 50
_HEAD = (
    b"POST /api/activities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(VALID)
)


class Times(NamedTuple):
    """A normal client's seconds for each request, without the slow ones and with them."""

    alone: list[float]
    with_slow: list[float]

    @property
    def ratio(self) -> float:
        """The 99th percentile with the slow clients, as a multiple of that alone."""
        return p99(self.with_slow) / p99(self.alone)


def p99(seconds: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(seconds, n=100)[98]


@contextlib.asynccontextmanager
async def slow_clients(port: int, count: int = SLOW, every: float = 1.0) -> AsyncIterator[None]:
    """Keep `count` clients connected that each send a byte of a request `every` seconds."""

    connected = asyncio.Semaphore(0)

    async def drip(immediately: bytes, slowly: bytes) -> None:
        while True:  # until cancelled
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                connected.release()
                with contextlib.closing(writer):
                    writer.write(immediately)
                    for byte in slowly:
                        await asyncio.sleep(every)
                        writer.write(bytes([byte]))
                        if reader.at_eof():
                            break

    # Half of them are slow in the head already, half in the body.
    parts = ((b"", _HEAD + VALID), (_HEAD, VALID))
    tasks = [asyncio.create_task(drip(*parts[number % 2])) for number in range(count)]
    try:
        for _ in range(count):
            await connected.acquire()
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measured(port: int, rounds: int, requests: int) -> Times:
    """Time a normal client in turns: a round alone, a round with the slow clients."""
    times = Times([], [])
    for _ in range(rounds):
        times.alone.extend(await _timed(port, requests))
        async with slow_clients(port):
            times.with_slow.extend(await _timed(port, requests))
    return times


async def _timed(port: int, requests: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    for _ in range(requests):
        began = time.perf_counter()
        writer.write(_HEAD + VALID)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - began)
    writer.close()
    return times


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=1_000, help="a round")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        services(Path(folder)) as variables,
        serving(variables) as server,
    ):
        asyncio.run(measured(server.port, 1, 200))  # warm
        times = asyncio.run(measured(server.port, options.rounds, options.requests))
    for name, seconds in times._asdict().items():
        median = statistics.median(seconds) * 1000
        sys.stdout.write(
            f"{name:9} {len(seconds):7,} requests  p50 {median:6.2f} ms  p99"
            f" {p99(seconds) * 1000:6.2f} ms\n"
        )
    sys.stdout.write(f"p99 with {SLOW} slow clients: {times.ratio:.2f} times that alone\n")


if __name__ == "__main__":
    main()
