"""Who may send what: no foreign web page, and without the token only SQL, reads and creations.

Any user of this machine and any page in its browsers can connect to a loopback port. A page sends
an Origin, or its own host name that resolves to this machine (DNS rebinding); both are refused.
Plain SQL needs no token, so that Google's client and `curl` work as with an emulator. What else
changes data (updates and deletions, uploads, cancellations) needs the token of STATE_DIR.
"""

import hmac
import ipaddress
import json
import re
from typing import Any

_READ_METHODS = {"GET", "HEAD", "OPTIONS"}
# SQL, datasets.insert and tables.insert: https://cloud.google.com/bigquery/docs/reference/rest
_OPEN_PATH = re.compile(
    r"/bigquery/v2/projects/[^/]+/(?:queries|jobs|datasets|datasets/[^/]+/tables)"
)
# https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site: only browsers
# send it; "none" is the user himself.
_OWN_SITES = {"same-origin", "none"}


def refusal(scope: Any, token: str | None, own_host: str) -> str | None:
    """Return why a request is refused, or None. `own_host` is the host of the service's address."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    hosts = headers.get("host", [])
    if len(hosts) != 1 or not _is_local(hosts[0], own_host):
        return f"the host {', '.join(hosts) or '(none)'} is not this service"
    if any(origin != f"http://{hosts[0]}" for origin in headers.get("origin", [])):
        return "web pages may not use this service"
    if not _OWN_SITES.issuperset(headers.get("sec-fetch-site", [])):
        return "web pages may not use this service"
    if scope["method"] in _READ_METHODS or _is_open(scope):
        return None
    if not _has_token(headers.get("authorization", []), token):
        return "this request needs the token of STATE_DIR; without it, use SQL"
    return None


def _is_open(scope: Any) -> bool:
    return scope["method"] == "POST" and _OPEN_PATH.fullmatch(scope["path"]) is not None


def _is_local(host: str, own_host: str) -> bool:
    """Return whether a Host names this service: an IP address cannot be rebound by DNS."""
    name = re.sub(r":\d*\Z", "", host.strip()).lower().rstrip(".")
    if name in {"localhost", own_host.lower()} or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _has_token(authorizations: list[str], token: str | None) -> bool:
    if token is None or len(authorizations) != 1:
        return False
    scheme, _, given = authorizations[0].partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())


def guarding(app: Any, token: str | None, own_host: str) -> Any:
    """Wrap the ASGI application: a refused request is answered 403."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        reason = refusal(scope, token, own_host) if scope["type"] == "http" else None
        if reason is None:
            await app(scope, receive, send)
            return
        body = json.dumps(_error(reason)).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),  # the body of the request is not read
        ]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return guarded


def _error(reason: str) -> dict[str, Any]:
    message = f"Access Denied: {reason}"
    errors = [{"reason": "accessDenied", "message": message, "domain": "global"}]
    return {
        "error": {"code": 403, "message": message, "errors": errors, "status": "PERMISSION_DENIED"}
    }
