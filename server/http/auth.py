"""Lets in requests with a known API key that may do what they ask; names their source after it."""

import base64
import binascii
import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ops.runtime.api_keys import ApiKey, KeyRing, KeysUnreadable
from server.http import refusal
from server.http.local_access import check_site
from server.http.refusal import FORBIDDEN, UNAUTHORIZED, Refusal, RequestFault

OPEN_ROUTES: Final = frozenset({"/healthz", "/readyz", "/openapi.json"})

OPERATOR_FOLDER: Final = "/console/"
"""It, and the page `/`, show the whole fleet, and so all sources: for the role `operate`."""

CHECK_AGAIN_SECONDS: Final = 0.3
"""A revoked key is refused within a second, in the middle of a batch too."""

KEYS: Final = web.AppKey("keys", KeyRing)

SOURCE: Final = web.RequestKey("source", str)
"""The name of the request's API key."""

API_KEY: Final = web.RequestKey("api_key", ApiKey)

_CHECKED_AT: Final = web.RequestKey("key_checked_at", float)


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 401 to a request without a known key, except on the open routes; 403 by its role."""
    if request.path not in OPEN_ROUTES:
        key = request[API_KEY] = _api_key(request)
        request[SOURCE] = key.name
        if _shows_the_fleet(request.path) and key.role != "operate":
            why = "only keys made with --role operate see the whole fleet"
            raise Refusal(FORBIDDEN, RequestFault("role", why, key.role))
    return await handler(request)


def _shows_the_fleet(path: str) -> bool:
    return path == "/" or path.startswith(OPERATOR_FOLDER)


def check_key_again(request: web.Request) -> None:
    """Raise Refusal if the request's key was revoked since: for requests that take their time."""
    now = time.monotonic()
    if KEYS in request.app and now - request.get(_CHECKED_AT, 0.0) > CHECK_AGAIN_SECONDS:
        request[API_KEY] = _api_key(request)
        request[_CHECKED_AT] = now


def _api_key(request: web.Request) -> ApiKey:
    try:
        key = request.app[KEYS].find(_text(request))
    except KeysUnreadable:
        raise refusal.unavailable("the API keys cannot be read now", 1) from None
    if key is None:
        raise _unauthorized(request, "this API key is unknown or revoked")
    return key


def _text(request: web.Request) -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        _refuse_other_sites(request)
        return _basic_password(text)
    if scheme.lower() != "bearer" or not text.strip():
        raise _unauthorized(request, "send Authorization: Bearer and the API key")
    return text.strip()


def _refuse_other_sites(request: web.Request) -> None:
    # Once it has a password, a browser sends it by itself, also for other sites' pages.
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:  # no browser, or one that is older than this header
        check_site(request, ())
    elif site not in {"none", "same-origin"}:
        raise Refusal(FORBIDDEN, RequestFault("origin", "pages of other sites have no access"))


def _basic_password(credentials: str) -> str:
    """Return the password of HTTP Basic, in which a browser sends a key with any user name."""
    try:
        decoded = base64.b64decode(credentials, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return decoded.decode("utf-8", "surrogateescape").partition(":")[2]


def _unauthorized(request: web.Request, why: str) -> Refusal:
    # At Basic a browser asks for a password. Only the page itself needs that; the page's own
    # requests are answered for its script.
    page = request.path == "/"
    challenge = f'{"Basic" if page else "Bearer"} realm="gatekeeper"'
    return Refusal(UNAUTHORIZED, RequestFault("api_key", why), WWW_Authenticate=challenge)
