"""Validates a transaction and the headers that belong to it. Pure except for the counters."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from aiohttp import web
from multidict import CIMultiDictProxy

import schema
from ops.runtime import metrics
from server.api.responses import INVALID_SCHEMA, MAX_FAULTS
from server.api.route import JsonObject
from server.contracts import ContractGate
from server.http import API_KEY, Refusal, RequestFault, refusal

MAX_IDEMPOTENCY_KEY: Final = 255
"""Characters."""

MAX_ORDERING_KEY: Final = 1_024
"""Bytes of UTF-8: https://cloud.google.com/pubsub/quotas#resource_limits."""


MAX_FORBIDDEN: Final = 100
"""Faults of one answer."""

KEY_PARAMETERS: Final[tuple[JsonObject, ...]] = (
    {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY},
        "description": "A transaction that is sent again with the same key is applied once. The"
        " same key with another body is an `idempotency_conflict`.",
    },
    {
        "name": "Ordering-Key",
        "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ORDERING_KEY},
        "description": "Transactions of one key are applied in order. By default the first table."
        " The limit is in bytes of UTF-8.",
    },
)


class RequestKeys(NamedTuple):
    """The keys in a request's headers, and the faults of these headers."""

    idempotency: str | None
    ordering: str | None
    faults: list[RequestFault]


_NO_KEYS = RequestKeys(None, None, [])


def read_keys(headers: CIMultiDictProxy[str]) -> RequestKeys:
    """Read `Idempotency-Key` and `Ordering-Key`; both are optional."""
    if "Idempotency-Key" not in headers and "Ordering-Key" not in headers:
        return _NO_KEYS
    faults: list[RequestFault] = []
    idempotency = _only(headers, "Idempotency-Key", "idempotency_key", faults)
    if idempotency is not None and not 0 < len(idempotency) <= MAX_IDEMPOTENCY_KEY:
        why = f"an Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY} characters"
        faults.append(RequestFault("idempotency_key", why, len(idempotency)))
    ordering = _only(headers, "Ordering-Key", "ordering_key", faults)
    if ordering is not None and not 0 < _utf8_size(ordering) <= MAX_ORDERING_KEY:
        why = f"an Ordering-Key has 1 to {MAX_ORDERING_KEY} bytes of UTF-8"
        faults.append(RequestFault("ordering_key", why, len(ordering)))
    elif ordering is not None and schema.has_control_character(ordering):
        faults.append(RequestFault("ordering_key", "an Ordering-Key has no control characters"))
    return RequestKeys(idempotency, ordering, faults)


def _only(
    headers: CIMultiDictProxy[str], name: str, rule: str, faults: list[RequestFault]
) -> str | None:
    given = headers.getall(name, [])
    if len(given) > 1:
        faults.append(RequestFault(rule, f"send one {name}, not {len(given)}", len(given)))
    return given[0] if given else None


def _utf8_size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:  # the request's head had bytes that are not UTF-8
        return 0


def validate(body: bytes, keys: RequestKeys) -> schema.Transaction:
    """Return the transaction in a body. Raises Refusal with the faults of it and of its keys.

    A refusal is counted; a valid payload not yet, as a contract may refuse it.
    """
    faults: list[RequestFault | schema.Fault] = list(keys.faults)
    try:
        # One more than the answer has: then it can name whether there are more.
        transaction = schema.check_body(body, MAX_FAULTS + 1)
    except schema.InvalidJSON as error:
        _count_invalid("json")
        raise refusal.invalid_json(str(error)) from None
    except schema.InvalidSchema as error:
        faults += error.faults
    if faults:
        _count_invalid(*(fault.rule for fault in faults[:MAX_FAULTS]))
        raise Refusal(INVALID_SCHEMA, *faults, payload=body)
    return transaction


def check_contracts(
    body: bytes, transaction: schema.Transaction, gate: ContractGate, *, is_sent: bool
) -> bytes:
    """Return the body with the values hidden that contracts hide; count it.

    Raises Refusal with the faults for which a contract refuses the transaction.
    """
    faults, hidden = gate.check(body, transaction, MAX_FAULTS + 1, is_sent=is_sent)
    if faults:
        _count_invalid(*(fault.rule for fault in faults[:MAX_FAULTS]))
        raise Refusal(INVALID_SCHEMA, *faults, payload=body)
    metrics.VALID.inc()
    return hidden


def check_tables(request: web.Request, transaction: schema.Transaction) -> None:
    """Raise Refusal, 403, if the request's API key may not write one of the tables."""
    key = request.get(API_KEY)
    if key is None:
        return
    faults = [
        RequestFault("table", f"the key {key.name} may not write this table", table, pointer)
        for pointer, table in _tables(transaction)
        if not key.may_write(table)
    ]
    if faults:
        raise Refusal(refusal.FORBIDDEN, *faults[:MAX_FORBIDDEN])


def _tables(transaction: schema.Transaction) -> Iterator[tuple[str, str]]:
    for place, activity in enumerate(transaction.activities):
        yield f"/activities/{place}/table", activity.table


def _count_invalid(*rules: str) -> None:
    metrics.INVALID.inc()
    for rule in rules:
        metrics.FAULTS.labels(rule).inc()
