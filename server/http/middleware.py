"""The outermost middleware: errors become answers; every request is counted, timed and logged.

Each has an id, its own `X-Request-Id` or a new one, which is in the log and in the answer.
"""

import random
import re
import time
from functools import cache
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Counter, Histogram

from ops.runtime import log, metrics
from server.http import refusal
from server.http.auth import SOURCE
from server.http.body import BYTES_READ
from server.http.limits import IN_FLIGHT
from server.http.refusal import RENDER_REFUSAL, Refusal, RequestFault, ResponseKind

LOG_FIELDS: Final = web.ResponseKey[dict[str, Any]]("log_fields")
"""What the answer adds to its request's line in the log."""

REQUEST_ID: Final = web.RequestKey("request_id", str)
REQUEST_ID_HEADER: Final = "X-Request-Id"
_REQUEST_ID = re.compile(r"[!-~]{1,128}")

_NO_FIELDS: Final = {"id": None, "message": None}

logger = log.get(__name__)


@web.middleware
async def request_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every request, whatever its handler raises."""
    in_flight = request.app[IN_FLIGHT]
    began = time.perf_counter()
    request[REQUEST_ID] = _request_id(request)
    in_flight.count += 1
    try:
        response = await _answer(request, handler)
        if not response.prepared:
            name_request(request, response)
            if in_flight.draining:
                response.force_close()
    except BaseException:  # cancelled: there is no answer to send, which would release the bytes
        in_flight.body_bytes.release(request)
        raise
    finally:
        in_flight.count -= 1
    _record(request, response, time.perf_counter() - began)
    return response


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        _check_transfer_coding(request)
        return await handler(request)
    except Refusal as error:
        refused = error
    except web.HTTPException as error:
        refused = _from_aiohttp(request, error)
    except ConnectionError:  # nobody reads the answer; aiohttp closes the connection
        refused = Refusal(refusal.CLIENT_GONE)
    except Exception:
        logger.exception("request_failed", route=route_of(request), request_id=request[REQUEST_ID])
        why = "the server failed; it is safe to send the request again with an Idempotency-Key"
        refused = Refusal(refusal.INTERNAL, RequestFault("internal", why))
    response = request.app[RENDER_REFUSAL](refused)
    if refused.close:
        response.force_close()
    return response


def _check_transfer_coding(request: web.Request) -> None:
    """Refuse every transfer coding but chunked: the parser would pass it on still encoded."""
    codings = request.headers.getall("Transfer-Encoding", [])
    if codings and [each.strip().lower() for each in codings] != ["chunked"]:
        fault = RequestFault("http", "send Transfer-Encoding: chunked, or none")
        raise Refusal(refusal.BAD_REQUEST, fault, close=True)


def _request_id(request: web.Request) -> str:
    given = request.headers.get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    return f"{random.getrandbits(128):032x}"  # a name, not a secret


def name_request(request: web.Request, response: web.StreamResponse) -> None:
    """Add the request's id to its answer, for a handler that begins the answer itself."""
    response.headers[REQUEST_ID_HEADER] = request[REQUEST_ID]


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> Refusal:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        fault = RequestFault("method", f"{request.path} takes {allowed}")
        return Refusal(refusal.METHOD_NOT_ALLOWED, fault, Allow=allowed)
    if isinstance(error, web.HTTPNotFound):
        return Refusal(refusal.NOT_FOUND, RequestFault("route", "there is no such route"))
    kind = ResponseKind(error.status, error.reason, "")
    return Refusal(kind, RequestFault("http", error.text or error.reason))


def route_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "unmatched" if resource is None else resource.canonical


@cache  # the labels are closed sets, and a look-up of a series costs more than counting in it
def _series(route: str, status: int) -> tuple[Counter, Histogram]:
    return metrics.REQUESTS.labels(route, str(status)), metrics.REQUEST_SECONDS.labels(route)


def _record(request: web.Request, response: web.StreamResponse, seconds: float) -> None:
    route = route_of(request)
    requests, duration = _series(route, response.status)
    requests.inc()
    duration.observe(seconds)
    logger.info(
        "request",
        method=request.method,
        route=route,
        status=response.status,
        bytes=request.get(BYTES_READ, 0),
        ms=round(seconds * 1000, 2),
        request_id=request[REQUEST_ID],
        source=request.get(SOURCE, ""),
        client=request.remote,
        **response.get(LOG_FIELDS, _NO_FIELDS),
    )
