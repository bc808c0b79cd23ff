"""The bytes of bodies that a process holds at once, from their arrival to their answer.

Without it, every connection could fill MAX_BODY_BYTES slowly and hold them. Small bodies cost a sum
and a comparison. Batches are not counted: their places and windows bound them.
"""

from typing import Final

from aiohttp import web

from server.api import verdict
from server.api.verdict import Refused

HELD: Final = web.RequestKey("held", int)
"""How many bytes of the budget a request holds."""


class Budget:
    """A bound: past it a body is refused with 503 rather than kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, request: web.Request, count: int) -> None:
        """Count bytes to a request, until `give_back`. Raises Refused when there are too many."""
        if self.held + count > self._limit:
            raise Refused(verdict.unavailable("too many bytes in flight at once", 1))
        self.held += count
        request[HELD] = request.get(HELD, 0) + count

    def give_back(self, request: web.Request) -> None:
        """End a request's part."""
        self.held -= request.get(HELD, 0)


BUDGET: Final = web.AppKey("budget", Budget)
