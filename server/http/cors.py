"""CORS: lets browsers' scripts from the origins of CORS_ORIGINS call the API; by default none."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from server.http.refusal import FORBIDDEN, Refusal, RequestFault

_HEADERS: Final = (
    "Authorization, Content-Encoding, Content-Type, Idempotency-Key, Ordering-Key, X-Request-Id"
)
_EXPOSED: Final = "Retry-After, Durable-In, X-Request-Id"
_METHODS: Final = "GET, POST"
_MAX_AGE_SECONDS: Final = 600

_ALLOWED_ORIGIN: Final = web.RequestKey("allowed_origin", str)


def allow_origins(app: web.Application, origins: Sequence[str]) -> None:
    """Allow these origins; `*` is any."""
    app.middlewares.append(_middleware(origins))
    app.on_response_prepare.append(_name_origin)


def _middleware(origins: Sequence[str]) -> Middleware:
    @web.middleware
    async def cors(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is None:
            return await handler(request)
        allowed = "*" in origins or origin in origins
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return _preflight(origin, allowed=allowed)
        if allowed:
            # Not set on the response, which a handler may have begun to send: on_response_prepare.
            request[_ALLOWED_ORIGIN] = origin
        return await handler(request)

    return cors


async def _name_origin(request: web.Request, response: web.StreamResponse) -> None:
    origin = request.get(_ALLOWED_ORIGIN)
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        response.headers["Vary"] = "Origin"


def _preflight(origin: str, *, allowed: bool) -> web.StreamResponse:
    if not allowed:
        why = "scripts of this origin have no access: see CORS_ORIGINS"
        raise Refusal(FORBIDDEN, RequestFault("origin", why))
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
