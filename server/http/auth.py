"""Lets in requests with a known API key, and names their source after it."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ops.runtime.api_keys import KeyRing
from server.api import verdict
from server.api.activities import SOURCE

OPEN_ROUTES: Final = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})

KEYS: Final = web.AppKey("keys", KeyRing)


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 401 to a request without a known key, except on the open routes."""
    if request.path in OPEN_ROUTES:
        return await handler(request)
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        why = "send Authorization: Bearer and the API key"
        return verdict.unauthorized(why).response()
    source = request.app[KEYS].owner(text.strip())
    if source is None:
        return verdict.unauthorized("this API key is unknown or revoked").response()
    request[SOURCE] = source
    return await handler(request)
