"""`/healthz`: this process lives. `/readyz`: a publish would succeed now."""

import asyncio
from typing import Final

import grpc
from aiohttp import web

from server.api import responses as kinds
from server.api import verdict
from server.api.route import Route
from server.api.verdict import Verdict
from server.http.middleware import GATE
from server.publish.publisher import Destination, Publisher
from server.publish.topic import is_transient
from server.spool.writer import Writer

TRUST_SECONDS: Final = 2.0
"""How long one answer of Pub/Sub, good or bad, speaks for the next."""

CHECK_SECONDS: Final = 2.0


class Readiness:
    """Asks Pub/Sub, unless its answers to real publishes or an earlier check say it already."""

    def __init__(
        self, publisher: Publisher, topic: Destination, spool: Writer | None = None
    ) -> None:
        self._publisher = publisher
        self._topic = topic
        self._spool = spool
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._fault: str | None = None

    async def fault(self) -> str | None:
        """Return None when a publish would succeed, else why it would not."""
        async with self._asking:  # who waits here takes the answer that comes
            now = asyncio.get_running_loop().time()
            known = max(self._asked_at, self._publisher.failed_at)
            if self._publisher.confirmed_at > max(known, now - TRUST_SECONDS):
                return None
            if now - self._asked_at > TRUST_SECONDS:
                self._fault = await self._ask()
                self._asked_at = asyncio.get_running_loop().time()
            return self._fault

    async def _ask(self) -> str | None:
        try:
            await self._topic.check(CHECK_SECONDS)
        except grpc.aio.AioRpcError as error:
            why = f"Pub/Sub would not take a transaction: {error.code().name}: {error.details()}"
            if is_transient(error) and self._spool is not None and self._spool.usable:
                why += "; the spool takes it meanwhile, while it has room"
            return why
        return None


READINESS: Final = web.AppKey("readiness", Readiness)


async def healthz(request: web.Request) -> web.StreamResponse:
    """Answer 200: the loop turns."""
    del request
    return Verdict(*kinds.ALIVE[:2]).response()


async def readyz(request: web.Request) -> web.StreamResponse:
    """Answer 200 when a transaction sent now would be accepted, else 503 with the reason."""
    if request.app[GATE].leaving:
        return verdict.unavailable("this process is shutting down", 1).response()
    fault = await request.app[READINESS].fault()
    if fault is not None:
        return verdict.unavailable(fault, 5).response()
    return Verdict(*kinds.READY[:2]).response()


ROUTES: Final = (
    Route("GET", "/healthz", healthz, (kinds.ALIVE,)),
    Route("GET", "/readyz", readyz, (kinds.READY, kinds.UNAVAILABLE)),
)
