"""Deduplication: which messages of a batch are new, settled already, or repeats. Pure.

A transaction is known by its id and its body's hash. The same id with another body is a conflict,
which gets its own ledger row.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from schema import Reason, Rejection, Settled
from workers.decode import DecodedMessage

MAX_ERROR_CHARACTERS = 1_000
CLOCK_SLACK = timedelta(minutes=1)
"""Between Pub/Sub's clock, which gives `publish_time`, and BigQuery's, which gives `settled_at`."""

ANOTHER_BODY = Rejection(
    Reason.IDEMPOTENCY_CONFLICT,
    "this id was used before with another body: use a new Idempotency-Key for another transaction",
)


@dataclass(slots=True)
class Deduplicated:
    """`fresh` go to the plan, in order; `settled` have an outcome; `repeats` copy fresh ones."""

    fresh: list[DecodedMessage] = field(default_factory=list)
    settled: list[tuple[DecodedMessage, Rejection | None]] = field(default_factory=list)
    repeats: list[DecodedMessage] = field(default_factory=list)


def deduplicate(messages: Iterable[DecodedMessage], ledger: Settled) -> Deduplicated:
    """Part a batch by what the ledger holds.

    A message whose id is known with another body only, to the ledger or to the batch, is fresh and
    carries its rejection already.
    """
    result = Deduplicated()
    seen: dict[str, set[str]] = {}
    for message in messages:
        id_, sha256 = message.key
        settled = ledger.get(id_, {})
        bodies = seen.get(id_)
        if bodies is None:
            bodies = seen[id_] = set(settled)
        if sha256 in settled:
            result.settled.append((message, settled[sha256]))
        elif sha256 in bodies:
            result.repeats.append(message)
        elif bodies:
            result.fresh.append(replace(message, rejection=ANOTHER_BODY))
        else:
            result.fresh.append(message)
        bodies.add(sha256)
    return result


def ledger_row(
    decoded: DecodedMessage, rejection: Rejection | None, lane: str, worker: str
) -> list[str | None]:
    """Return a message's ledger row as texts, in the order of LEDGER_COLUMNS less `settled_at`."""
    message, transaction = decoded.message, decoded.transaction
    return [
        message.id,
        "rejected" if rejection else "applied",
        rejection.reason.value if rejection else None,
        rejection.error[:MAX_ERROR_CHARACTERS] if rejection else None,
        message.source,
        message.ordering_key,
        lane,
        message.sha256,
        str(len(transaction.activities)) if transaction else None,
        message.received_at,
        worker,
    ]


def settled_since(messages: list[DecodedMessage], copy_window: timedelta) -> str:
    """Return the time before which no message of the batch can have been settled.

    A redelivery has its first publish time, and nothing is settled before it is published. A
    message with a derived id, or one that its publisher may have published before, may have been
    settled under an earlier publish time.
    """
    oldest = min(datetime.fromisoformat(each.delivery.publish_time) for each in messages)
    wide = any(each.message.may_be_settled_already for each in messages)
    return (oldest - CLOCK_SLACK - (copy_window if wide else timedelta())).isoformat(" ")
