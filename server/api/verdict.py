"""Verdicts: what every request is answered with, as JSON of one shape.

`{"status": …, "message": …, "error": …, "id": …, "payload": …}`. `error` is null or a list of
faults, `{"pointer", "rule", "message", "got"}`; `payload` is the body, byte for byte as sent.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web
from multidict import CIMultiDict

import schema
from server.api import responses as kinds
from server.api.responses import Kind

# The rules of the server's own faults; those of a payload are `schema.RULES`.
RULES: Final = (
    "json",
    "idempotency_key",
    "ordering_key",
    "media_type",
    "content_encoding",
    "body_size",
    "body_time",
    "api_key",
    "origin",
    "route",
    "transaction",
    "method",
    "http",
    "unavailable",
    "internal",
)

HEADERS: Final = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Server": "gatekeeper",
    # The payload is the client's own text: no browser may take it for anything but JSON.
    "X-Content-Type-Options": "nosniff",
}


_HEADERS = CIMultiDict(HEADERS)


class Fault(NamedTuple):
    """A fault of the request itself, in the shape of a payload's; its pointer names the whole."""

    rule: str
    message: str
    got: Any = None
    pointer: str = ""


class Verdict(NamedTuple):
    """An answer before it is bytes: `error` and `payload` are JSON texts already."""

    status: int
    message: str
    error: bytes = b"null"
    id: str | None = None
    payload: bytes = b"null"
    headers: Mapping[str, str] = {}
    spooled: bool = False
    """For the log: the answer does not tell."""

    def json(self, *, payload: bool = True) -> bytes:
        """Write the verdict; the payload is spliced in as sent, never parsed and written anew."""
        name = b"null" if self.id is None else b'"%b"' % self.id.encode()
        head = b'{"status": %d, "message": "%b", "error": %b, "id": %b' % (
            self.status,
            self.message.encode(),
            self.error,
            name,
        )
        return b'%b, "payload": %b}' % (head, self.payload) if payload else head + b"}"

    def response(self) -> web.Response:
        """Make the HTTP answer; it carries the verdict under `VERDICT`."""
        headers = _HEADERS.copy()
        headers.update(self.headers)
        response = web.Response(status=self.status, body=self.json(), headers=headers)
        response[VERDICT] = self
        return response


VERDICT: Final = web.ResponseKey("verdict", Verdict)


class Refused(Exception):
    """The request ends here, with this verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


def faults(*found: Fault | schema.Fault) -> bytes:
    """Write faults as JSON, in the order given."""
    return json.dumps(
        [
            {"pointer": one.pointer, "rule": one.rule, "message": one.message, "got": one.got}
            for one in found
        ]
    ).encode()


def refusal(kind: Kind, *found: Fault | schema.Fault, **headers: str) -> Verdict:
    """Make the verdict of a kind that names faults; a header's `_` is written `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Verdict(kind.status, kind.message, error=faults(*found), headers=named)


def valid(payload: bytes, id: str | None, *, spooled: bool = False) -> Verdict:  # noqa: A002  # the contract's word
    """Say that the payload meets the rule; with an id, that it is durable too."""
    return Verdict(kinds.VALID.status, kinds.VALID.message, id=id, payload=payload, spooled=spooled)


def invalid_schema(found: Iterable[Fault | schema.Fault], payload: bytes) -> Verdict:
    """Name every fault of a payload that is JSON."""
    return refusal(kinds.INVALID_SCHEMA, *found)._replace(payload=payload)


def invalid_json(why: str, rule: str = "json") -> Verdict:
    """Say why the body is not JSON; there is no payload to repeat."""
    return refusal(kinds.INVALID_JSON, Fault(rule, why))


def unauthorized(why: str) -> Verdict:
    """Ask for an API key."""
    challenge = 'Bearer realm="gatekeeper"'
    return refusal(kinds.UNAUTHORIZED, Fault("api_key", why), WWW_Authenticate=challenge)


def too_slow(seconds: float) -> Verdict:
    """Say that the body did not come in time; the connection is of no further use."""
    why = f"the body was not complete after {seconds:g} s: send it again, faster or in parts"
    return refusal(kinds.REQUEST_TIMEOUT, Fault("body_time", why))


def too_large(why: str) -> Verdict:
    """Say that the body has too many bytes, before or after decompression."""
    return refusal(kinds.PAYLOAD_TOO_LARGE, Fault("body_size", why))


def unsupported(rule: str, why: str, got: str) -> Verdict:
    """Say what the body should have been, by its headers."""
    return refusal(kinds.UNSUPPORTED, Fault(rule, why, got))


def unavailable(why: str, retry_after: int) -> Verdict:
    """Say that nothing was durably accepted, and in how many seconds to send it again."""
    return refusal(kinds.UNAVAILABLE, Fault("unavailable", why), Retry_After=str(retry_after))
