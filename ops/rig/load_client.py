"""`python -m ops.rig.load_client HOST:PORT`: sends transactions over HTTP and measures the answers.

The server must be the bottleneck, so the client is cheap: whole requests are made in advance and
written unchanged on connections that stay open; of an answer only status and length are read.

Its standard input takes lines: a rate (`max`, or a number of requests a second over all
connections), `mark` (count from here) or `report`, which prints a JSON object on standard output.
It ends at the end of its input.
"""

import argparse
import asyncio
import json
import math
import random
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

import uvloop

from ops.rig.transaction_mix import TABLES, TransactionMix
from ops.runtime import addresses

_REQUESTS: Final = 4_000  # different ones; then they come again, each with a new id
_TICK_SECONDS: Final = 0.002
_OK: Final = b"200"


def requests(count: int, mix: TransactionMix, kind: str) -> list[bytes]:
    """Make whole HTTP requests, each a transaction of the mix, of one kind."""
    bodies = (json.dumps(getattr(mix, kind)()) for _ in range(count))
    head = "POST /api/activities HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
    head += "Content-Type: application/json\r\nContent-Length:"
    return [f"{head} {len(body)}\r\n\r\n{body}".encode() for body in bodies]


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value that `share` of the ascending values do not exceed (nearest rank).

    Raises ValueError when there are none.
    """
    if not ordered:
        raise ValueError("no value has no percentile")
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


class PacedLoad:
    """All connections, and the answers to their requests since the last mark."""

    def __init__(self, pool: list[bytes], limit: int | None) -> None:
        self._pool = pool
        self._next = random.randrange(len(pool))  # noqa: S311  # load, not secrets
        self._left = limit
        self.rate: float | None = 0.0
        """Requests a second; None: the next request follows each answer."""
        self.idle: deque[LoadConnection] = deque()
        self.mark()

    def mark(self) -> None:
        """Count from here."""
        self.sent = 0
        self.errors: Counter[str] = Counter()
        self.latencies = array("d")
        self._since = time.perf_counter()
        self._cpu_since = time.process_time()

    def next(self) -> bytes | None:
        """Return the next request; None when there are no more."""
        if self._left is not None:
            if self._left <= 0:
                return None
            self._left -= 1
        self.sent += 1
        self._next = (self._next + 1) % len(self._pool)
        return self._pool[self._next]

    def report(self) -> dict[str, object]:
        """Return the counts since the mark; latencies in seconds."""
        ordered = sorted(self.latencies) or [0.0]
        return {
            "seconds": time.perf_counter() - self._since,
            "sent": self.sent,
            "answered": len(self.latencies),
            "errors": dict(self.errors),
            "cpu_seconds": time.process_time() - self._cpu_since,
            "p50": percentile(ordered, 0.5),
            "p99": percentile(ordered, 0.99),
        }

    async def pace(self) -> None:
        """Send due requests on idle connections, forever; without one they stay due."""
        due = 0.0
        last = time.perf_counter()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.perf_counter()
            if self.rate is None:
                due = float(len(self.idle))
            else:  # at most a second's requests: no burst after a pause of the process
                due = min(due + self.rate * (now - last), self.rate)
            last = now
            while due >= 1 and self.idle:
                if not self.idle.popleft().send():
                    return
                due -= 1


class LoadConnection(asyncio.Protocol):
    """One connection with at most one request in flight."""

    def __init__(self, load: PacedLoad) -> None:
        self._load = load
        self._missing = 0
        self._head = b""
        self._since = 0.0
        self._status = _OK
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP's is one to write to
        self._load.idle.append(self)

    def send(self) -> bool:
        """Send the next request; False when there is none."""
        request = self._load.next()
        if request is None:
            return False
        self._since = time.perf_counter()
        self._transport.write(request)
        return True

    def data_received(self, data: bytes) -> None:
        """Read an answer, in as many parts as it comes."""
        if self._missing:
            self._missing -= len(data)
        else:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._head = b""
            self._status = data[9:12]
            start = data.index(b"Content-Length: ") + 16
            length = int(data[start : data.index(b"\r", start)])
            self._missing = length - (len(data) - end - 4)
        if self._missing <= 0:
            self._missing = 0
            self._answered()

    def _answered(self) -> None:
        load = self._load
        load.latencies.append(time.perf_counter() - self._since)
        if self._status != _OK:
            load.errors[self._status.decode(errors="replace")] += 1
        if load.rate is None:
            self.send()
        else:
            load.idle.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._load.errors[f"connection lost: {error}"] += 1


async def main(options: argparse.Namespace) -> None:
    """Connect, then follow the lines on standard input."""
    loop = asyncio.get_running_loop()
    mix = TransactionMix(options.tables.split(","), options.seed)
    pool = requests(_REQUESTS, mix, options.kind)
    load = PacedLoad(pool, options.count)
    host, port = addresses.split(options.address)
    for _ in range(options.connections):
        await loop.create_connection(lambda: LoadConnection(load), host, port)
    pacing = asyncio.create_task(load.pace())
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().strip():
        match line:
            case "mark":
                load.mark()
            case "report":
                print(json.dumps(load.report()), flush=True)  # noqa: T201  # its interface
            case _:
                load.rate = None if line == "max" else float(line)
    pacing.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ops.rig.load_client", description=__doc__)
    parser.add_argument("address", help="host:port of the server")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--count", type=int, help="the number of requests (default: no limit)")
    parser.add_argument("--tables", default=",".join(TABLES), help="names, separated by commas")
    parser.add_argument("--kind", default="transaction", help="a method of TransactionMix")
    parser.add_argument("--seed", type=int, default=1)
    uvloop.run(main(parser.parse_args()))
