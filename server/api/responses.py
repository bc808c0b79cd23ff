"""Verdicts: the answers of the API, JSON of one shape, and the kinds that only the API has.

`{"status": …, "message": …, "error": …, "id": …, "payload": …}`. `error` is null or a list of
faults, `{"pointer", "rule", "message", "got"}`; `payload` is the body, byte for byte as sent, null
for a body over MAX_PAYLOAD_BYTES. An answer is small whatever is sent: past MAX_FAULTS the check
stops, and `"truncated": true` and `"faults_seen"` follow `error`.
The other kinds are in `server.http.refusal`.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web
from multidict import CIMultiDict

import schema
from server.http import LOG_FIELDS, Refusal, ResponseKind

MAX_FAULTS: Final = schema.MAX_FAULTS
"""Faults in an answer."""

LOGGED_TABLES: Final = 10
"""Of one transaction, in the log."""

MAX_PAYLOAD_BYTES: Final = 64_000
"""A larger body is not repeated in its answer."""

VALID: Final = ResponseKind(200, "Valid Schema", "The transaction is valid.")
ACCEPTED: Final = ResponseKind(
    200,
    "Valid Schema",
    "The transaction is valid and durable: Pub/Sub has it or, while Pub/Sub cannot be reached, the"
    " spool on the server's disk. `Durable-In` names which.",
    ("Durable-In",),
)
ALIVE: Final = ResponseKind(200, "Alive", "The process is alive.")
READY: Final = ResponseKind(200, "Ready", "A transaction sent now would be accepted.")
INVALID_SCHEMA: Final = ResponseKind(
    400,
    "Invalid Schema",
    f"`error` lists every fault of the transaction, at most {MAX_FAULTS}: where there are more,"
    " `truncated` is true.",
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
    "rate",
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
    faults_seen: int = 0
    """How many there were when the check stopped; 0 where `error` has all."""
    logged: Mapping[str, Any] = {}
    """For the line in the log: not part of the answer."""

    def json(self, *, payload: bool = True) -> bytes:
        """Render the verdict. The payload goes in as sent: it is never parsed and serialized."""
        more = b', "truncated": true, "faults_seen": %d' % self.faults_seen
        head = b'{"status": %d, "message": "%b", "error": %b%b, "id": %b' % (
            self.status,
            self.message.encode(),
            self.error,
            more if self.faults_seen else b"",
            b"null" if self.id is None else b'"%b"' % self.id.encode(),
        )
        return b'%b, "payload": %b}' % (head, self.payload) if payload else head + b"}"

    def response(self) -> web.Response:
        headers = HEADERS.copy()
        headers.update(self.headers)
        response = web.Response(status=self.status, body=self.json(), headers=headers)
        response[LOG_FIELDS] = {"id": self.id, "message": self.message, **self.logged}
        return response


def valid(
    payload: bytes,
    id: str | None,  # noqa: A002  # the contract's word
    *,
    spooled: bool = False,
    tables: tuple[str, ...] = (),
) -> Verdict:
    """Return the verdict of a valid transaction; with an id, it is durable too."""
    headers = {"Durable-In": "spool" if spooled else "pubsub"} if id is not None else {}
    return Verdict(
        VALID.status,
        VALID.message,
        id=id,
        payload=_repeated(payload),
        headers=headers,
        logged={"tables": tables[:LOGGED_TABLES], **({"spooled": True} if spooled else {})},
    )


def _repeated(payload: bytes) -> bytes:
    return payload if len(payload) <= MAX_PAYLOAD_BYTES else b"null"


def refused(refusal: Refusal, max_faults: int = MAX_FAULTS) -> Verdict:
    faults = [
        {"pointer": one.pointer, "rule": one.rule, "message": one.message, "got": one.got}
        for one in refusal.faults[:max_faults]
    ]
    seen = len(refusal.faults)
    # Characters outside ASCII take up to three times as many bytes as escapes. A header's bytes
    # that are not UTF-8 are the only ones that cannot be encoded.
    error = json.dumps(faults, ensure_ascii=False).encode(errors="replace")
    return Verdict(
        refusal.kind.status,
        refusal.kind.message,
        error=error,
        payload=_repeated(refusal.payload),
        headers=refusal.headers,
        faults_seen=seen if seen > max_faults else 0,
        logged={"rules": list(dict.fromkeys(one["rule"] for one in faults))},
    )


def render_refusal(refusal: Refusal) -> web.Response:
    return refused(refusal).response()
