"""CORS: browsers' scripts from the origins of CORS_ORIGINS may call the gate; by default none."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from server.api import responses as kinds
from server.api import verdict
from server.api.verdict import Fault

_HEADERS: Final = "Authorization, Content-Encoding, Content-Type, Idempotency-Key, Ordering-Key"
_METHODS: Final = "GET, POST"
_MAX_AGE_SECONDS: Final = 600


def allowing(origins: Sequence[str]) -> Middleware:
    """Make the middleware for these origins; `*` is any."""

    @web.middleware
    async def cors(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is None:
            return await handler(request)
        allowed = "*" in origins or origin in origins
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return _preflight(origin, allowed=allowed)
        if allowed:
            # Set before the handler, which may stream: on_response_prepare puts it in.
            request[ORIGIN] = origin
        return await handler(request)

    return cors


ORIGIN: Final = web.RequestKey("origin", str)
"""The origin that the answer will name as allowed."""


async def name_origin(request: web.Request, response: web.StreamResponse) -> None:
    """Tell the browser that the script may read the answer; for `on_response_prepare`."""
    origin = request.get(ORIGIN)
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        response.headers["Vary"] = "Origin"


def _preflight(origin: str, *, allowed: bool) -> web.StreamResponse:
    if not allowed:
        why = "scripts of this origin are not let in: see CORS_ORIGINS"
        return verdict.refusal(kinds.FORBIDDEN, Fault("origin", why)).response()
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
            "Vary": "Origin, Access-Control-Request-Method",
        },
    )
