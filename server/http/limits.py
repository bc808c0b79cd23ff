"""What a process holds in memory for its clients, and the limits of it.

Past a limit a request is refused with 503 rather than made to wait.
"""

from typing import Final

from aiohttp import web

from server.http import refusal

MAX_BATCHES: Final = 16
"""Batches in flight in a process; each may hold some megabytes of lines."""


class ConcurrencyLimit:
    """`with limit:` counts the block as in flight; raises Refusal when there are too many."""

    def __init__(self, count: int) -> None:
        self._free = count

    def __enter__(self) -> None:
        if self._free <= 0:
            raise refusal.unavailable("too many requests in flight", 1)
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1


class ByteLimit:
    """The bytes of bodies in memory, from their arrival to the request's answer.

    Without it, every connection could slowly fill MAX_BODY_BYTES and hold them. Batches are not
    counted: MAX_BATCHES and their windows bound them.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def add(self, request: web.Request, count: int) -> None:
        """Count bytes to a request until `release`. Raises Refusal when there are too many."""
        if self.held + count > self._limit:
            raise refusal.unavailable("too many bytes in flight", 1)
        self.held += count
        request[_HELD] = request.get(_HELD, 0) + count

    def release(self, request: web.Request) -> None:
        self.held -= request.get(_HELD, 0)


_HELD: Final = web.RequestKey("held", int)


class InFlight:
    """The requests in flight, their limits, and whether the process drains."""

    def __init__(self, max_requests: int, max_body_bytes: int) -> None:
        self.draining = False
        self.count = 0
        """Requests begun and not yet answered."""
        self.requests = ConcurrencyLimit(max_requests)
        """For transactions whose body is complete: a slow client takes no place while it sends."""
        self.batches = ConcurrencyLimit(MAX_BATCHES)
        """For batches, from the first line to the last."""
        self.body_bytes = ByteLimit(max_body_bytes)


IN_FLIGHT: Final = web.AppKey("in_flight", InFlight)
