"""Lets in requests with a known API key, and names their source after it."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ops.runtime.api_keys import ApiKey, KeyRing
from server.http.refusal import UNAUTHORIZED, Refusal, RequestFault

OPEN_ROUTES: Final = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})

KEYS: Final = web.AppKey("keys", KeyRing)

SOURCE: Final = web.RequestKey("source", str)
"""The name of the request's API key."""

API_KEY: Final = web.RequestKey("api_key", ApiKey)


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 401 to a request without a known key, except on the open routes."""
    if request.path not in OPEN_ROUTES:
        key = request[API_KEY] = _api_key(request)
        request[SOURCE] = key.name
    return await handler(request)


def _api_key(request: web.Request) -> ApiKey:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise _unauthorized("send Authorization: Bearer and the API key")
    key = request.app[KEYS].find(text.strip())
    if key is None:
        raise _unauthorized("this API key is unknown or revoked")
    return key


def _unauthorized(why: str) -> Refusal:
    challenge = 'Bearer realm="gatekeeper"'
    return Refusal(UNAUTHORIZED, RequestFault("api_key", why), WWW_Authenticate=challenge)
