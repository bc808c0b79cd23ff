"""What surrounds every request: its place, its errors, its numbers and its line in the log."""

import time
from functools import cache
from typing import Final, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Counter, Histogram

from ops.runtime import log, metrics
from server.api import responses as kinds
from server.api import verdict
from server.api.responses import Kind
from server.api.verdict import VERDICT, Fault, Refused, Verdict
from server.http.body import BYTES_READ
from server.http.limits import BUDGET, HELD

CLIENT_GONE: Final = 499
"""The status that the log and the metrics show for a client that left before its answer."""

BATCHES: Final = 16
"""Batches at once in a process; each may hold a window of some megabytes."""

logger = log.get(__name__)


class Places:
    """A bound: past it requests are shed rather than made to wait.

    `with places:` holds one for the length of the block; Refused when none is free.
    """

    def __init__(self, count: int) -> None:
        self._free = count

    def __enter__(self) -> None:
        """Take a place."""
        if self._free <= 0:
            raise Refused(verdict.unavailable("too many requests at once", 1))
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._free += 1


class Gate:
    """Who is inside, and whether the process is leaving."""

    def __init__(self, max_in_flight: int) -> None:
        self.leaving = False
        self.under_way = 0
        """Requests begun and not yet answered."""
        self.requests = Places(max_in_flight)
        """For transactions that have come in whole: a slow client takes none while it sends."""
        self.batches = Places(BATCHES)
        """For batches, which take theirs from the first line to the last."""


GATE: Final = web.AppKey("gate", Gate)


@web.middleware
async def attend(request: web.Request, handler: Handler) -> web.StreamResponse:
    """See a request through: whatever happens inside, the answer is a verdict."""
    gate = request.app[GATE]
    began = time.perf_counter()
    gate.under_way += 1
    request[HELD] = 0
    metrics.REQUESTS_IN_FLIGHT.inc()
    try:
        response = await _answer(request, handler)
        if gate.leaving and not response.prepared:
            response.force_close()
    finally:
        gate.under_way -= 1
        request.app[BUDGET].give_back(request)
        metrics.REQUESTS_IN_FLIGHT.dec()
    _record(request, response, time.perf_counter() - began)
    return response


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return refused.verdict.response()
    except web.HTTPException as error:
        return _from_aiohttp(request, error).response()
    except ConnectionError:
        # No one is there to read it; aiohttp finds that out by itself.
        return Verdict(CLIENT_GONE, "Client Closed Request").response()
    except Exception:
        logger.exception("request_failed", route=_route(request))
        why = "the server failed; it is safe to send the request again with an Idempotency-Key"
        return verdict.refusal(kinds.INTERNAL, Fault("internal", why)).response()


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> Verdict:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        fault = Fault("method", f"{request.path} takes {allowed}")
        return verdict.refusal(kinds.METHOD_NOT_ALLOWED, fault, Allow=allowed)
    if isinstance(error, web.HTTPNotFound):
        return verdict.refusal(kinds.NOT_FOUND, Fault("route", "there is no such route"))
    kind = Kind(error.status, error.reason, "")
    return verdict.refusal(kind, Fault("http", error.text or error.reason))


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "unmatched" if resource is None else resource.canonical


class _Series(NamedTuple):
    requests: Counter
    seconds: Histogram


@cache  # labels are closed sets, and finding a series costs more than counting in it
def _series(route: str, status: int) -> _Series:
    return _Series(
        metrics.REQUESTS.labels(route, str(status)), metrics.REQUEST_SECONDS.labels(route)
    )


def _record(request: web.Request, response: web.StreamResponse, seconds: float) -> None:
    route = _route(request)
    series = _series(route, response.status)
    series.requests.inc()
    series.seconds.observe(seconds)
    answered = response.get(VERDICT)
    spooled = {"spooled": True} if answered is not None and answered.spooled else {}
    logger.info(
        "request",
        id=None if answered is None else answered.id,
        method=request.method,
        route=route,
        status=response.status,
        message=None if answered is None else answered.message,
        bytes=request.get(BYTES_READ, 0),
        ms=round(seconds * 1000, 2),
        **spooled,
    )
