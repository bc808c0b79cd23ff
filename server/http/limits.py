"""What a process holds in memory for its clients, and the limits of it.

Past a limit, or past its share of it, a request is refused with 503 rather than made to wait.
"""

from typing import Final

from aiohttp import web

from ops.runtime import metrics
from server.http.fair_share import FairLimit, source_of

MAX_BATCHES: Final = 16
"""Batches in flight in a process; each may hold some megabytes of lines."""


class ByteLimit:
    """The bytes of bodies in memory, from their arrival until the answer has been sent.

    Without it, every connection could slowly fill MAX_BODY_BYTES and hold them. Batches are not
    counted: MAX_BATCHES and their windows bound them.
    """

    def __init__(self, limit: int) -> None:
        self._limit = FairLimit(limit, "bytes")

    @property
    def held(self) -> int:
        return self._limit.held

    def add(self, request: web.Request, count: int) -> None:
        """Count bytes to a request until `release`. Raises Refusal when there are too many."""
        self._limit.take(source_of(request), count)
        request[_HELD] = request.get(_HELD, 0) + count

    def release(self, request: web.BaseRequest) -> None:
        if count := request.get(_HELD, 0):
            request[_HELD] = 0
            self._limit.give_back(source_of(request), count)


_HELD: Final = web.RequestKey("held", int)


class InFlight:
    """The requests in flight, their limits, and whether the process drains."""

    def __init__(self, max_requests: int, max_body_bytes: int) -> None:
        self.draining = False
        self.count = 0
        """Requests begun and not yet answered."""
        metrics.REQUESTS_IN_FLIGHT.set_function(lambda: self.count)
        self.requests = FairLimit(max_requests, "requests")
        """For transactions whose body is complete: a slow client takes no place while it sends."""
        self.batches = FairLimit(MAX_BATCHES, "batches", always_half=True)
        """For batches, from the first line to the last."""
        self.body_bytes = ByteLimit(max_body_bytes)


IN_FLIGHT: Final = web.AppKey("in_flight", InFlight)
