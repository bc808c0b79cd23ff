"""Holds a transaction against the rule, its headers included. Pure but for the counters."""

from typing import Final, NamedTuple

from multidict import CIMultiDictProxy

import schema
from ops.runtime import metrics
from server.api import verdict
from server.api.route import Parameter
from server.api.verdict import Fault, Refused

MAX_IDEMPOTENCY_KEY: Final = 255
"""Characters."""

MAX_ORDERING_KEY: Final = 1_024
"""Bytes of UTF-8: https://cloud.google.com/pubsub/quotas#resource_limits."""


KEY_PARAMETERS: Final = (
    Parameter(
        "Idempotency-Key",
        "header",
        {"type": "string", "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY},
        "The same key again is applied once; with another body it is an `idempotency_conflict`.",
    ),
    Parameter(
        "Ordering-Key",
        "header",
        {"type": "string", "minLength": 1, "maxLength": MAX_ORDERING_KEY},
        "Transactions of one key are applied in order. By default the first table; the limit is in"
        " bytes of UTF-8.",
    ),
)


class Keys(NamedTuple):
    """What a request's headers say of its transaction, and the faults in what they say."""

    idempotency: str | None
    ordering: str | None
    faults: list[Fault]


def read_keys(headers: CIMultiDictProxy[str]) -> Keys:
    """Read `Idempotency-Key` and `Ordering-Key`; without them a transaction has neither."""
    if "Idempotency-Key" not in headers and "Ordering-Key" not in headers:
        return _NO_KEYS
    faults: list[Fault] = []
    idempotency = _only(headers, "Idempotency-Key", "idempotency_key", faults)
    if idempotency is not None and not 0 < len(idempotency) <= MAX_IDEMPOTENCY_KEY:
        why = f"an Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY} characters"
        faults.append(Fault("idempotency_key", why, len(idempotency)))
    ordering = _only(headers, "Ordering-Key", "ordering_key", faults)
    if ordering is not None and not 0 < _utf8_size(ordering) <= MAX_ORDERING_KEY:
        why = f"an Ordering-Key has 1 to {MAX_ORDERING_KEY} bytes of UTF-8"
        faults.append(Fault("ordering_key", why, len(ordering)))
    return Keys(idempotency, ordering, faults)


_NO_KEYS = Keys(None, None, [])


def _only(headers: CIMultiDictProxy[str], name: str, rule: str, faults: list[Fault]) -> str | None:
    given = headers.getall(name, [])
    if len(given) > 1:
        faults.append(Fault(rule, f"send one {name}, not {len(given)}", len(given)))
    return given[0] if given else None


def _utf8_size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:  # bytes that were not UTF-8 in the request's head
        return 0


def judge(body: bytes, keys: Keys) -> schema.Transaction:
    """Return the transaction in a body; raises Refused with every fault in it and in its keys."""
    faults: list[Fault | schema.Fault] = list(keys.faults)
    try:
        transaction = schema.check_body(body)
    except schema.InvalidJSON as error:
        metrics.INVALID.inc()
        metrics.FAULTS.labels("json").inc()
        raise Refused(verdict.invalid_json(str(error))) from None
    except schema.InvalidSchema as error:
        faults += error.faults
    if faults:
        metrics.INVALID.inc()
        for fault in faults:
            metrics.FAULTS.labels(fault.rule).inc()
        raise Refused(verdict.invalid_schema(faults, body))
    metrics.VALID.inc()
    return transaction
