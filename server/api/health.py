"""`/healthz`: this process is alive. `/readyz`: a transaction sent now would be accepted."""

import asyncio
import json
from typing import Any, Final, NamedTuple

import grpc
from aiohttp import web

from ops.runtime import metrics
from server.api import responses
from server.api.responses import Verdict
from server.api.route import JsonObject, Route, closed_object
from server.contracts import CONTRACT_GATE
from server.http import IN_FLIGHT, refusal
from server.publish import Destination, Publisher, classify
from server.spool import SpoolWriter

TRUST_SECONDS: Final = 2.0
"""How long an answer of Pub/Sub or the spool counts."""

FAULT_SECONDS: Final = 0.2
"""How long a fault of Pub/Sub counts: at the start of a fleet it is over at any moment."""

CHECK_SECONDS: Final = 2.0

FAILURE_SECONDS: Final = 60.0
"""How long after its last failed call Pub/Sub counts as degraded, when nothing else was tried."""


class ReadyState(NamedTuple):
    """Why a transaction would be refused now, or None; and what does not work, by part."""

    fault: str | None
    degraded: dict[str, str]


class _PubsubFault(NamedTuple):
    why: str
    transient: bool
    """The spool takes transactions meanwhile."""


class Readiness:
    """Asks Pub/Sub unless a recent publish or check has answered already; asks the spool."""

    def __init__(
        self, publisher: Publisher, topic: Destination, spool: SpoolWriter | None = None
    ) -> None:
        self._publisher = publisher
        self._topic = topic
        self._spool = spool
        self._loop = asyncio.get_running_loop()
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        self._fault: _PubsubFault | None = None
        self._spool_asked_at = float("-inf")
        self._spool_fault: str | None = None
        metrics.DEGRADED.labels("pubsub").set_function(self._pubsub_fails)
        metrics.DEGRADED.labels("spool").set_function(self._spool_is_degraded)

    def close(self) -> None:
        """Stop showing what is degraded: the publisher and the spool go away."""
        for part in ("pubsub", "spool"):
            metrics.DEGRADED.remove(part)

    async def state(self) -> ReadyState:
        async with self._checking:  # all that wait here share one check
            pubsub = await self._pubsub()
            spool = await self._no_room()
        degraded = {}
        if pubsub is not None:
            degraded["pubsub"] = pubsub.why
        if spool is not None:
            degraded["spool"] = spool
        elif self._spool_in_use:
            degraded["spool"] = "transactions wait in the spool; new ones go behind them"
        if pubsub is not None and not pubsub.transient:
            return ReadyState(pubsub.why, degraded)
        if (pubsub is not None or self._spool_in_use) and (spool or self._spool is None):
            return ReadyState("; ".join(degraded.values()), degraded)
        return ReadyState(None, degraded)

    @property
    def _spool_in_use(self) -> bool:
        return self._spool is not None and self._spool.in_use

    async def _pubsub(self) -> _PubsubFault | None:
        now = self._loop.time()
        last = max(self._checked_at, self._publisher.failed_at)
        if self._publisher.confirmed_at > max(last, now - TRUST_SECONDS):
            return None
        if now - self._checked_at > (FAULT_SECONDS if self._fault else TRUST_SECONDS):
            self._fault = await self._check()
            self._checked_at = self._loop.time()
        return self._fault

    async def _check(self) -> _PubsubFault | None:
        try:
            await self._topic.check(CHECK_SECONDS)
        except grpc.aio.AioRpcError as error:
            why = f"Pub/Sub would not take a transaction: {error.code().name}: {error.details()}"
            return _PubsubFault(why, classify(error).transient)
        return None

    async def _no_room(self) -> str | None:
        """Return why the spool would take nothing, None if it would or is switched off."""
        if self._spool is not None and self._loop.time() - self._spool_asked_at > TRUST_SECONDS:
            self._spool_fault = await self._spool.fault(CHECK_SECONDS)
            self._spool_asked_at = self._loop.time()
        return self._spool_fault

    def _pubsub_fails(self) -> float:
        confirmed_at = self._publisher.confirmed_at
        failed_at = self._publisher.failed_at
        failed = max(confirmed_at, self._loop.time() - FAILURE_SECONDS) < failed_at
        return float(failed or (self._fault is not None and self._checked_at > confirmed_at))

    def _spool_is_degraded(self) -> float:
        return float(self._spool_in_use or self._spool_fault is not None)


READINESS: Final = web.AppKey("readiness", Readiness)


async def healthz(request: web.Request) -> web.StreamResponse:
    """Liveness: always 200."""
    del request
    return Verdict(*responses.ALIVE[:2]).response()


async def readyz(request: web.Request) -> web.StreamResponse:
    """Readiness: 200 when a transaction sent now would be accepted, else 503 with the reason.

    With Pub/Sub unreachable and room in the spool it is 200; `degraded` names what does not work.
    """
    if request.app[IN_FLIGHT].draining:
        raise refusal.unavailable("this process is shutting down", 1)
    fault, degraded = await request.app[READINESS].state()
    if fault is not None:
        raise refusal.unavailable(fault, 5)
    if faults := request.app[CONTRACT_GATE].contracts.faults:
        degraded["contracts"] = f"{len(faults)} faults, the old contracts stay: {faults[0]}"
    verdict: dict[str, Any] = json.loads(Verdict(*responses.READY[:2]).json())
    body = json.dumps({**verdict, "degraded": degraded}).encode()
    return web.Response(body=body, headers=responses.HEADERS)


def _ready() -> JsonObject:
    nothing: JsonObject = {key: {"type": "null"} for key in ("error", "id", "payload")}
    degraded = {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "What does not work, by part, and why; empty when all works.",
    }
    head: JsonObject = {"status": {"const": 200}, "message": {"const": responses.READY.message}}
    return closed_object({**head, **nothing, "degraded": degraded})


ROUTES: Final = (
    Route("GET", "/healthz", healthz, (responses.ALIVE,)),
    Route("GET", "/readyz", readyz, (refusal.UNAVAILABLE,), result=_ready()),
)
