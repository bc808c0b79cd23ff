"""The sieve before a plan: what of a batch is new, known to the ledger, or a repeat. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from workers.entry import Entry
from workers.ledger import Settled
from workers.outcome import Reason, Rejection

_ANOTHER_BODY = Rejection(
    Reason.IDEMPOTENCY_CONFLICT,
    "this id was used before with another body: use a new Idempotency-Key for another transaction",
)


@dataclass(slots=True)
class Sifted:
    """`fresh` go on to the plan, in order; `known` are settled; `repeats` follow a fresh one."""

    fresh: list[Entry] = field(default_factory=list)
    known: list[tuple[Entry, Settled]] = field(default_factory=list)
    repeats: list[Entry] = field(default_factory=list)


def sift(entries: Iterable[Entry], ledger: Mapping[str, Mapping[str, Settled]]) -> Sifted:
    """Part a batch by what the ledger is known to hold (id → sha256 → outcome).

    An id that is known with another body only, to the ledger or to the batch, is fresh and carries
    its rejection already.
    """
    result = Sifted()
    seen: dict[str, set[str]] = {}
    for entry in entries:
        id_, sha256 = entry.key
        settled = ledger.get(id_, {}) if ledger else {}
        outcome = settled.get(sha256)
        bodies = seen.get(id_)
        if bodies is None:
            bodies = seen[id_] = set(settled)
        if outcome is not None:
            result.known.append((entry, outcome))
        elif sha256 in bodies:
            result.repeats.append(entry)
        elif bodies:
            result.fresh.append(replace(entry, rejection=_ANOTHER_BODY))
        else:
            result.fresh.append(entry)
        bodies.add(sha256)
    return result
