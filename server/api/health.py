"""`/healthz`: this process is alive. `/readyz`: a publish would succeed now."""

import asyncio
from typing import Final

import grpc
from aiohttp import web

from server.api import responses
from server.api.responses import Verdict
from server.api.route import Route
from server.http import IN_FLIGHT, refusal
from server.publish import Destination, Publisher, classify
from server.spool import SpoolWriter

TRUST_SECONDS: Final = 2.0
"""How long an answer of Pub/Sub, good or bad, counts."""

CHECK_SECONDS: Final = 2.0


class Readiness:
    """Asks Pub/Sub unless a recent publish or check has answered already."""

    def __init__(
        self, publisher: Publisher, topic: Destination, spool: SpoolWriter | None = None
    ) -> None:
        self._publisher = publisher
        self._topic = topic
        self._spool = spool
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        self._fault: str | None = None

    async def fault(self) -> str | None:
        """Return why a publish would fail, or None."""
        async with self._checking:  # all that wait here share one check
            now = asyncio.get_running_loop().time()
            last = max(self._checked_at, self._publisher.failed_at)
            if self._publisher.confirmed_at > max(last, now - TRUST_SECONDS):
                return None
            if now - self._checked_at > TRUST_SECONDS:
                self._fault = await self._check()
                self._checked_at = asyncio.get_running_loop().time()
            return self._fault

    async def _check(self) -> str | None:
        try:
            await self._topic.check(CHECK_SECONDS)
        except grpc.aio.AioRpcError as error:
            why = f"Pub/Sub would not take a transaction: {error.code().name}: {error.details()}"
            if classify(error).transient and self._spool is not None and self._spool.usable:
                why += "; the spool takes it meanwhile, while it has room"
            return why
        return None


READINESS: Final = web.AppKey("readiness", Readiness)


async def healthz(request: web.Request) -> web.StreamResponse:
    """Liveness: always 200."""
    del request
    return Verdict(*responses.ALIVE[:2]).response()


async def readyz(request: web.Request) -> web.StreamResponse:
    """Readiness: 200 when a transaction sent now would be accepted, else 503 with the reason."""
    if request.app[IN_FLIGHT].draining:
        raise refusal.unavailable("this process is shutting down", 1)
    fault = await request.app[READINESS].fault()
    if fault is not None:
        raise refusal.unavailable(fault, 5)
    return Verdict(*responses.READY[:2]).response()


ROUTES: Final = (
    Route("GET", "/healthz", healthz, (responses.ALIVE,)),
    Route("GET", "/readyz", readyz, (responses.READY, refusal.UNAVAILABLE)),
)
