"""Sends hostile bodies and requests to a real server; checks the answers and the cost to others.

`python -m tests.support.hostile --count 200000 --requests 20000 --seed 1` sends as many; `--only N`
shows one body. It fails at a wrong answer, a 5xx but 503, an answer over 1 MB but a batch's, memory
over MEMORY_BYTES, /healthz over HEALTHZ_SECONDS or a normal client over SLOWER times its own alone.
"""

import argparse
import asyncio
import functools
import json
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp

import schema
from server.api.responses import MAX_PAYLOAD_BYTES
from tests.support.hostile_bodies import Hostile, hostile
from tests.support.hostile_requests import MOST_BYTES, hostile_request, send_request
from tests.support.normal_client import ClientTimes, normal_client
from tests.support.server import JSON, LIMIT, Server, services, serving

MEMORY_BYTES = 150_000_000
"""How much more memory the server may have than at its start."""

HEALTHZ_SECONDS = 0.1
SLOWER = 5
_ALONE_SECONDS = 10

_ROUTES = ("/api/activities/validate", "/api/activities")


def expected(one: Hostile, limit: int = LIMIT) -> set[int]:
    """Return the statuses that the contract allows: 200, 400, 413 or 415.

    Independent of the server's code. Only a body that is too large and broken may have either.
    """
    if one.encoding not in _WBITS:
        return {415}
    if len(one.wire) > limit:
        return {413}
    body, whole = one.wire, True
    if one.encoding is not None:
        body, whole = _inflated(one.wire, _WBITS[one.encoding], limit)
    if len(body) > limit:
        return {413} if whole else {400, 413}
    if not whole:
        return {400}
    try:
        transaction = schema.check_body(body)
    except (schema.InvalidJSON, schema.InvalidSchema):
        return {400}
    # No table has a contract that could give an upsert its key.
    return {400 if any(each.has_open_key for each in transaction.activities) else 200}


_WBITS: dict[str | None, int] = {None: 0, "gzip": 31, "deflate": 15}


@functools.lru_cache(64)
def _inflated(wire: bytes, wbits: int, limit: int) -> tuple[bytes, bool]:
    """Return the decoded bytes, cut after the limit, and whether the stream is complete."""
    inflater = zlib.decompressobj(wbits)
    body = bytearray()
    try:
        for at in range(len(wire)):  # so that what precedes a fault does come out
            if inflater.eof:
                if wbits != _WBITS["gzip"]:
                    return bytes(body[: limit + 1]), False
                inflater = zlib.decompressobj(wbits)  # the next member
            body += inflater.decompress(wire[at : at + 1])
    except zlib.error:
        return bytes(body[: limit + 1]), False
    return bytes(body[: limit + 1]), inflater.eof


class Tally:
    """What was sent and answered; `faults` are the answers that the contract does not have."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.faults: list[str] = []
        self.slowest = 0.0


async def send(  # noqa: PLR0913  # the numbers of a run
    url: str,
    seed: int,
    numbers: Iterable[int],
    tally: Tally,
    clients: int = 32,
    *,
    headers: Mapping[str, str] = JSON,
) -> None:
    """Send bodies of a seed, each to one of the two routes, and check every answer."""
    each = iter(numbers)
    timeout = aiohttp.ClientTimeout(total=60)

    async def client(session: aiohttp.ClientSession) -> None:
        for number in each:
            one = hostile(seed, number)
            fault = await _judged(session, url + _ROUTES[number % 2], one, tally)
            if fault:
                tally.faults.append(f"--seed {seed} --only {number}: {fault}")
                sys.stderr.write(f"{tally.faults[-1]}\n")

    async with (
        aiohttp.ClientSession(timeout=timeout, headers={**JSON, **headers}) as session,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(clients):
            group.create_task(client(session))


async def _judged(
    session: aiohttp.ClientSession, url: str, one: Hostile, tally: Tally
) -> str | None:
    headers = {} if one.encoding is None else {"Content-Encoding": one.encoding}
    began = time.monotonic()
    try:
        async with session.post(url, data=one.wire, headers=headers) as answer:
            status, text = answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"no answer: {type(error).__name__}: {error}"
    tally.slowest = max(tally.slowest, time.monotonic() - began)
    tally.statuses[status] += 1
    if status == 503:  # deliberate: it has Retry-After
        return None if "Retry-After" in answer.headers else "503 without Retry-After"
    if len(text) > MOST_BYTES:
        return f"an answer of {len(text):,} bytes"
    right = expected(one)
    if status not in right:
        return f"{status}, not {right}: {text[:200]!r}"
    verdict = json.loads(text)
    if verdict["status"] != status:
        return f"the verdict has {verdict['status']} and HTTP {status}"
    return _payload_fault(one, text) if status == 200 and one.encoding is None else None


def _payload_fault(one: Hostile, text: bytes) -> str | None:
    if len(one.wire) > MAX_PAYLOAD_BYTES:
        return None if b'"payload": null' in text else "a large body is repeated"
    return None if one.wire.strip() in text else "the payload is not the body as sent"


async def send_requests(
    port: int, seed: int, numbers: Iterable[int], tally: Tally, clients: int = 8
) -> None:
    """Send hostile requests of a seed, each on its own connection, and check every answer."""
    each = iter(numbers)

    async def client() -> None:
        for number in each:
            fault = await send_request(port, hostile_request(seed, number))
            if fault:
                tally.faults.append(f"--seed {seed}, request {number}: {fault}")
                sys.stderr.write(f"{tally.faults[-1]}\n")

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())


class Cost(NamedTuple):
    """The cost of hostile clients: memory, and a normal client's times alone and next to them."""

    memory: int
    alone: ClientTimes
    meanwhile: ClientTimes

    def faults(self) -> list[str]:
        found = []
        if self.memory > MEMORY_BYTES:
            found.append(f"the server took {self.memory / 1e6:.0f} MB more")
        if self.meanwhile.healthz > HEALTHZ_SECONDS:
            found.append(f"/healthz p99 {self.meanwhile.healthz * 1000:.0f} ms")
        if self.meanwhile.post > SLOWER * self.alone.post:
            times = self.meanwhile.post / self.alone.post
            found.append(f"a normal client's p99 is {times:.1f} times its own alone")
        if self.meanwhile.refused:
            found.append(f"a normal client was refused {self.meanwhile.refused} times")
        return found


def attack(  # noqa: PLR0913  # the numbers of a run
    server: Server, tally: Tally, *, seed: int, count: int, requests: int, clients: int
) -> Cost:
    """Send bodies and requests in turns while a normal client works."""
    with normal_client(server.url) as warm:
        time.sleep(1)
    with normal_client(server.url) as alone:
        time.sleep(_ALONE_SECONDS)
    del warm
    memory = most = server.rss()
    began = time.monotonic()
    with normal_client(server.url) as meanwhile:
        for part in range(10):
            bodies = range(count * part // 10, count * (part + 1) // 10)
            asyncio.run(send(server.url, seed, bodies, tally, clients))
            numbers = range(requests * part // 10, requests * (part + 1) // 10)
            asyncio.run(send_requests(server.port, seed, numbers, tally, clients))
            most = max(most, server.rss())
            sys.stdout.write(
                f"{bodies.stop:8,} bodies, {numbers.stop:7,} requests,"
                f" {time.monotonic() - began:6.1f} s, server at {server.rss() / 1e6:.1f} MB,"
                f" {dict(sorted(tally.statuses.items()))}, slowest {tally.slowest:.2f} s,"
                f" faults {len(tally.faults)}\n"
            )
            sys.stdout.flush()
    return Cost(most - memory, alone.times, meanwhile.times)


def _run(options: argparse.Namespace) -> int:
    tally = Tally()
    with (
        tempfile.TemporaryDirectory() as folder,
        services(Path(folder)) as variables,
        serving({**variables, "MAX_BODY_BYTES": str(LIMIT), "LOG_LEVEL": "ERROR"}) as server,
    ):
        cost = attack(
            server,
            tally,
            seed=options.seed,
            count=options.count,
            requests=options.requests,
            clients=options.clients,
        )
    for name, times in (("alone", cost.alone), ("meanwhile", cost.meanwhile)):
        sys.stdout.write(
            f"a normal client {name}: {times.requests:,} requests, p99"
            f" {times.post * 1000:.1f} ms, /healthz {times.healthz * 1000:.1f} ms\n"
        )
    faults = [*tally.faults, *cost.faults()]
    sys.stdout.write(f"memory +{cost.memory / 1e6:.1f} MB\n" + "".join(f"{x}\n" for x in faults))
    return 1 if faults else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000, help="bodies")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="show this body and what it should be answered")
    options = parser.parse_args()
    if options.only is None:
        return _run(options)
    one = hostile(options.seed, options.only)
    sys.stdout.write(f"{one!r}\nexpected: {sorted(expected(one))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
