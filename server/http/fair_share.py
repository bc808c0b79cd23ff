"""Shares what a process has among its clients: no source can take all of it, or all the time.

A source is an API key, or without keys the remote address.
"""

import asyncio
import contextlib
import ipaddress
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final
from weakref import WeakValueDictionary

from aiohttp import web

from server.http import refusal
from server.http.auth import SOURCE

OTHERS_SECONDS: Final = 10.0
"""How long a source that has asked for something counts as one of the others."""

_IPV6_PREFIX: Final = 64  # of one network: a client can take any address in it


def source_of(request: web.BaseRequest) -> str:
    """Return the name of the request's API key, or the address that it came from."""
    key = request.get(SOURCE)
    return key if key is not None else _network(request.remote or "")


def _network(address: str) -> str:
    if ":" not in address:
        return address
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_network((address.partition("%")[0], _IPV6_PREFIX), strict=False))
    return address


class FairLimit:
    """Counts what the sources hold of `limit`; raises Refusal at too much, and never waits.

    While others ask, a source may hold half. Alone it may hold all but an eighth, which is left
    for the next source to come; with `always_half` no more than half, for what is held long.
    """

    def __init__(
        self,
        limit: int,
        what: str,
        *,
        always_half: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.held = 0
        self._limit = limit
        self._what = what
        self._half = max(limit // 2, 1)
        self._alone = self._half if always_half else max(limit - max(limit // 8, 1), 1)
        self._clock = clock
        self._by_source: Counter[str] = Counter()
        self._latest: str | None = None
        self._others_at = float("-inf")

    def take(self, source: str, count: int = 1) -> None:
        """Count to a source. Raises Refusal."""
        if source != self._latest:
            if self._latest is not None:
                self._others_at = self._clock()
            self._latest = source
        others_ask = self._clock() - self._others_at < OTHERS_SECONDS
        share = self._half if others_ask else self._alone
        if self.held + count > self._limit:
            raise refusal.unavailable(f"too many {self._what} in flight", 1)
        if self._by_source[source] + count > share:
            raise refusal.unavailable(f"too many {self._what} of this client in flight", 1)
        self.held += count
        self._by_source[source] += count

    def give_back(self, source: str, count: int = 1) -> None:
        self.held -= count
        self._by_source[source] -= count
        if not self._by_source[source]:
            del self._by_source[source]

    @contextlib.contextmanager
    def holding(self, source: str) -> Iterator[None]:
        """Count the block to a source. Raises Refusal."""
        self.take(source)
        try:
            yield
        finally:
            self.give_back(source)


class FairTurns:
    """Lets one block run at a time. Sources take turns, however many blocks of each wait."""

    def __init__(self) -> None:
        self._running = asyncio.Lock()
        self._waiting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def turn(self, source: str) -> AsyncIterator[None]:
        own = self._waiting.get(source)
        if own is None:
            own = self._waiting[source] = asyncio.Lock()
        async with own, self._running:
            yield


STEP_SECONDS: Final = 0.002
"""How long a step of work may hold the event loop."""


class Steps:
    """Divides long work of a source on the event loop: in a turn of the loop, one step of all."""

    def __init__(
        self, turns: FairTurns, source: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._turns = turns
        self._source = source
        self._clock = clock
        self._until = clock() + STEP_SECONDS

    async def next(self) -> None:
        """Call it often: it waits for the next turn when a step's time is over."""
        if self._clock() < self._until:
            return
        async with self._turns.turn(self._source):
            await asyncio.sleep(0)
        self._until = self._clock() + STEP_SECONDS


LOOP_TURNS: Final = web.AppKey("loop_turns", FairTurns)


def steps_of(request: web.Request) -> Steps:
    return Steps(request.app[LOOP_TURNS], source_of(request))
