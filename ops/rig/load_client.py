"""`python -m ops.rig.load_client`: sends transactions to a server and measures the answers.

A client that is cheap enough to leave the server as the bottleneck: whole requests made beforehand,
written as they are on connections that stay open; of an answer only its status line and length are
read. It speaks with whoever started it in lines: on standard input a rate (`max`, or a number of
requests a second over all connections), `mark` (count from here) or `report`; on standard output a
JSON object for every `report`. It ends at the end of its input.
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

_REQUESTS: Final = 4_000  # different ones; then they come again, each with a new id
_TICK_SECONDS: Final = 0.002
_OK: Final = b"200"


def requests(count: int, tables: tuple[str, ...], seed: int) -> list[bytes]:
    """Make whole HTTP requests, each a transaction of the mix."""
    mix = TransactionMix(tables, seed)
    made = []
    for _ in range(count):
        body = json.dumps(mix.transaction()).encode()
        head = (
            "POST /api/activities HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value that `share` of the ascending values do not exceed (nearest rank).

    Raises ValueError when there are none.
    """
    if not ordered:
        raise ValueError("no value has no percentile")
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


class Load:
    """All connections, and what came of their requests since the last mark."""

    def __init__(self, pool: list[bytes], limit: int | None) -> None:
        self._pool = pool
        self._at = random.randrange(len(pool))  # noqa: S311  # load, not secrets
        self.left = limit
        self.rate: float | None = 0.0
        """Requests a second; None is as many as are answered."""
        self.idle: deque[Connection] = deque()
        self.open = 0
        self.mark()

    def mark(self) -> None:
        """Count from here."""
        self.sent = 0
        self.errors: Counter[str] = Counter()
        self.latencies = array("d")
        self.began = time.perf_counter()
        self.began_cpu = time.process_time()

    def next(self) -> bytes | None:
        """Return the next request; None when there are no more."""
        if self.left is not None:
            if self.left <= 0:
                return None
            self.left -= 1
        self.sent += 1
        self._at = (self._at + 1) % len(self._pool)
        return self._pool[self._at]

    def report(self) -> dict[str, object]:
        """Return the counts since the mark; latencies in seconds."""
        seconds = time.perf_counter() - self.began
        ordered = sorted(self.latencies)
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p100": 1.0}
        return {
            "seconds": seconds,
            "sent": self.sent,
            "answered": len(ordered),
            "errors": dict(self.errors),
            "open": self.open,
            "left": self.left,
            "cpu_seconds": time.process_time() - self.began_cpu,
            **{
                name: percentile(ordered, share) if ordered else 0.0
                for name, share in shares.items()
            },
        }

    async def pace(self) -> None:
        """Send what is due on idle connections, forever; what finds none idle stays due."""
        due = 0.0
        last = time.perf_counter()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.perf_counter()
            if self.rate is None:
                due = float(len(self.idle))
            else:
                # After a pause of the whole process nobody wants a burst.
                due = min(due + self.rate * (now - last), self.rate)
            last = now
            while due >= 1 and self.idle:
                if not self.idle.popleft().send():
                    return
                due -= 1


class Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._missing = 0
        self._head = b""
        self._since = 0.0
        self._status = _OK
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take part."""
        self._transport = transport  # type: ignore[assignment]  # TCP's is one to write to
        self._load.open += 1
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
        """Count a connection that the server has closed as an error."""
        self._load.open -= 1
        self._load.errors[f"connection lost: {error}"] += 1


async def main(options: argparse.Namespace) -> None:
    """Connect, then follow the lines on standard input."""
    loop = asyncio.get_running_loop()
    tables = tuple(options.tables.split(","))
    load = Load(requests(_REQUESTS, tables, options.seed), options.count)
    host, _, port = options.address.rpartition(":")
    for _ in range(options.connections):
        await loop.create_connection(lambda: Connection(load), host, int(port))
    pacing = asyncio.create_task(load.pace())
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().strip():
        match line:
            case "mark":
                load.mark()
            case "report":
                sys.stdout.write(json.dumps(load.report()) + "\n")
                sys.stdout.flush()
            case "max":
                load.rate = None
            case _:
                load.rate = float(line)
    pacing.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ops.rig.load_client", description=__doc__)
    parser.add_argument("address", help="host:port of the server")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--count", type=int, help="send so many and no more")
    parser.add_argument("--tables", default=",".join(TABLES), help="names, separated by commas")
    parser.add_argument("--seed", type=int, default=1)
    uvloop.run(main(parser.parse_args()))
