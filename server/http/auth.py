"""Lets in requests with a known API key, and names their source after it."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ops.runtime.api_keys import KeyRing
from server.http.refusal import UNAUTHORIZED, Refusal, RequestFault

OPEN_ROUTES: Final = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})

KEYS: Final = web.AppKey("keys", KeyRing)

SOURCE: Final = web.RequestKey("source", str)
"""The name of the request's API key."""


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 401 to a request without a known key, except on the open routes."""
    if request.path not in OPEN_ROUTES:
        request[SOURCE] = _owner(request)
    return await handler(request)


def _owner(request: web.Request) -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise _unauthorized("send Authorization: Bearer and the API key")
    owner = request.app[KEYS].owner(text.strip())
    if owner is None:
        raise _unauthorized("this API key is unknown or revoked")
    return owner


def _unauthorized(why: str) -> Refusal:
    challenge = 'Bearer realm="gatekeeper"'
    return Refusal(UNAUTHORIZED, RequestFault("api_key", why), WWW_Authenticate=challenge)
