"""Verdicts: the answers of the API, JSON of one shape, and the kinds that only the API has.

`{"status": …, "message": …, "error": …, "id": …, "payload": …}`. `error` is null or a list of
faults, `{"pointer", "rule", "message", "got"}`; `payload` is the body, byte for byte as sent.
The other kinds are in `server.http.refusal`.
"""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from aiohttp import web
from multidict import CIMultiDict

from server.http import LOG_FIELDS, Refusal, ResponseKind

VALID: Final = ResponseKind(
    200, "Valid Schema", "The transaction is valid; with an `id`, it is durable."
)
ALIVE: Final = ResponseKind(200, "Alive", "The process is alive.")
READY: Final = ResponseKind(200, "Ready", "A transaction sent now would be accepted.")
INVALID_SCHEMA: Final = ResponseKind(
    400, "Invalid Schema", "`error` lists every fault of the transaction."
)

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
    "role",
    "table",
    "host",
    "origin",
    "route",
    "transaction",
    "method",
    "http",
    "unavailable",
    "internal",
)

HEADERS: Final = CIMultiDict(
    {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "Server": "gatekeeper",
        # The payload is the client's own text: no browser may take it for anything but JSON.
        "X-Content-Type-Options": "nosniff",
    }
)


class Verdict(NamedTuple):
    """An answer; `error` and `payload` are JSON texts."""

    status: int
    message: str
    error: bytes = b"null"
    id: str | None = None
    payload: bytes = b"null"
    headers: Mapping[str, str] = {}
    spooled: bool = False
    """For the log: not part of the answer."""

    def json(self, *, payload: bool = True) -> bytes:
        """Render the verdict. The payload goes in as sent: it is never parsed and serialized."""
        head = b'{"status": %d, "message": "%b", "error": %b, "id": %b' % (
            self.status,
            self.message.encode(),
            self.error,
            b"null" if self.id is None else b'"%b"' % self.id.encode(),
        )
        return b'%b, "payload": %b}' % (head, self.payload) if payload else head + b"}"

    def response(self) -> web.Response:
        headers = HEADERS.copy()
        headers.update(self.headers)
        response = web.Response(status=self.status, body=self.json(), headers=headers)
        spooled = {"spooled": True} if self.spooled else {}
        response[LOG_FIELDS] = {"id": self.id, "message": self.message, **spooled}
        return response


def valid(payload: bytes, id: str | None, *, spooled: bool = False) -> Verdict:  # noqa: A002  # the contract's word
    """Return the verdict of a valid transaction; with an id, it is durable too."""
    return Verdict(VALID.status, VALID.message, id=id, payload=payload, spooled=spooled)


def refused(refusal: Refusal) -> Verdict:
    faults = [
        {"pointer": one.pointer, "rule": one.rule, "message": one.message, "got": one.got}
        for one in refusal.faults
    ]
    return Verdict(
        refusal.kind.status,
        refusal.kind.message,
        error=json.dumps(faults).encode(),
        payload=refusal.payload,
        headers=refusal.headers,
    )


def render_refusal(refusal: Refusal) -> web.Response:
    return refused(refusal).response()
