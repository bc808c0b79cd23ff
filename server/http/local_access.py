"""Without API keys: keeps pages of other sites, which a browser brings along, from a loopback gate.

The address alone is no protection: any page on the web can make a browser send requests to
127.0.0.1, and a page whose own name resolves to 127.0.0.1 (DNS rebinding) can read the answers.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ops.runtime.settings import Settings
from server.http.refusal import FORBIDDEN, Refusal, RequestFault

_LOOPBACK_NAME: Final = "localhost"
"""Browsers resolve it, and every name below it, to loopback: no other server can have it."""

_HOST: Final = re.compile(r"(?:(?P<name>[\w.-]+)|\[(?P<ip>[0-9A-Fa-f:.]+)\])(?::[0-9]*)?")


def guard(settings: Settings) -> Middleware:
    """Return a middleware that answers 403 to other sites' pages and to foreign Hosts.

    With ALLOW_ANONYMOUS the server has names that no setting lists, so any Host is accepted.
    """
    host = None if settings.allow_anonymous else settings.host
    origins = settings.cors_origins

    @web.middleware
    async def refuse_other_sites(request: web.Request, handler: Handler) -> web.StreamResponse:
        if host is not None:
            _check_hosts(request, host)
        check_site(request, origins)
        return await handler(request)

    return refuse_other_sites


def _check_hosts(request: web.Request, own: str) -> None:
    # Without a Host, as in HTTP/1.0, the request is no browser's.
    for text in request.headers.getall("Host", ()):
        if not is_own_host(text, own):
            why = "this server answers to localhost, loopback addresses and HOST only"
            raise Refusal(FORBIDDEN, RequestFault("host", why, text[:100]))


@lru_cache(64)  # a client sends the same one with every request
def is_own_host(text: str, own: str) -> bool:
    """Return whether a Host header names this machine's loopback, or `own`; any port will do."""
    parts = _HOST.fullmatch(text)
    if parts is None:
        return False
    name = (parts["name"] or parts["ip"]).lower().removesuffix(".")
    if name in {own.lower(), _LOOPBACK_NAME} or name.endswith(f".{_LOOPBACK_NAME}"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_site(request: web.Request, allowed: tuple[str, ...]) -> None:
    """Raise Refusal for a page of another site, unless its origin is allowed."""
    origins = request.headers.getall("Origin", ())
    if "*" in allowed or (len(origins) == 1 and origins[0] in allowed):
        return
    host = request.headers.get("Host", "").lower()
    own = f"http://{host}", f"https://{host}"
    foreign = [origin for origin in origins if origin.lower() not in own]
    if foreign or "cross-site" in request.headers.getall("Sec-Fetch-Site", ()):
        why = "pages of other sites have no access: see CORS_ORIGINS"
        raise Refusal(FORBIDDEN, RequestFault("origin", why, foreign[0] if foreign else None))
