"""Sends hostile bodies to a real server and checks every answer against the rule.

`python -m tests.support.hostile --count 200000 --seed 1` sends 200,000; `--only N` shows one.
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
from collections.abc import Iterable
from pathlib import Path

import aiohttp

import schema
from server.api.responses import MAX_PAYLOAD_BYTES
from tests.support.hostile_bodies import Hostile, hostile
from tests.support.server import LIMIT, Server, services, serving

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
        schema.check_body(body)
    except (schema.InvalidJSON, schema.InvalidSchema):
        return {400}
    return {200}


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


async def send(
    url: str, seed: int, numbers: Iterable[int], tally: Tally, clients: int = 32
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
        aiohttp.ClientSession(
            timeout=timeout, headers={"Content-Type": "application/json"}
        ) as session,
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


def _run(seed: int, count: int) -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        services(Path(folder)) as variables,
        serving({**variables, "MAX_BODY_BYTES": str(LIMIT), "LOG_LEVEL": "WARNING"}) as server,
    ):
        return _report(server, seed, count)


def _report(server: Server, seed: int, count: int) -> int:
    tally = Tally()
    part = max(count // 10, 1)
    began, memory = time.monotonic(), []
    for start in range(0, count, part):
        numbers = range(start, min(start + part, count))
        asyncio.run(send(server.url, seed, numbers, tally))
        memory.append(server.rss())
        sys.stdout.write(
            f"{numbers[-1] + 1:8,} sent, {time.monotonic() - began:6.1f} s, server at"
            f" {memory[-1] / 1e6:.1f} MB, {dict(sorted(tally.statuses.items()))},"
            f" slowest {tally.slowest:.2f} s, faults {len(tally.faults)}\n"
        )
        sys.stdout.flush()
    sys.stdout.write(
        f"memory after the first tenth {memory[0] / 1e6:.1f} MB, at the end"
        f" {memory[-1] / 1e6:.1f} MB\n"
    )
    return 1 if tally.faults else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="show this one and what it should be answered")
    options = parser.parse_args()
    if options.only is None:
        return _run(options.seed, options.count)
    one = hostile(options.seed, options.only)
    sys.stdout.write(f"{one!r}\nexpected: {sorted(expected(one))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
