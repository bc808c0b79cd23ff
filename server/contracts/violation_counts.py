"""Violations since the last write, counted by what they have in common. For any thread."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from schema.contracts import Violation

OTHER: Final = "(other)"
"""Stands for the names that clients chose beyond MAX_KEYS."""
MAX_KEYS: Final = 2_000
MAX_EXAMPLES: Final = 3
MAX_EXAMPLE: Final = 100
"""Characters."""


class ViolationKey(NamedTuple):
    """`contract`, `version` and `team` are empty for a table without a contract."""

    contract: str
    version: str
    team: str
    table: str
    column: str
    rule: str
    refused: bool


@dataclass(slots=True)
class Occurrences:
    """How often, from when to when (seconds since 1970), and the latest examples, newest first."""

    count: int
    first_at: float
    last_at: float
    message: str
    examples: list[str] = field(default_factory=list)

    def add(self, other: "Occurrences") -> None:
        self.count += other.count
        self.first_at = min(self.first_at, other.first_at)
        self.last_at = max(self.last_at, other.last_at)
        self.message = other.message
        self.examples = list(dict.fromkeys([*other.examples, *self.examples]))[:MAX_EXAMPLES]


class ViolationCounts:
    """Counts in memory until they are taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[ViolationKey, Occurrences] = {}

    def add(self, violations: Iterable[Violation], now: float) -> None:
        with self._lock:
            for each in violations:
                self._add(_key(each), Occurrences(1, now, now, each.message, _examples(each)))

    def take(self) -> dict[ViolationKey, Occurrences]:
        """Return what has been counted since the last call."""
        with self._lock:
            taken, self._tallies = self._tallies, {}
        return taken

    def _add(self, key: ViolationKey, tally: Occurrences) -> None:
        if key not in self._tallies and len(self._tallies) >= MAX_KEYS:
            key = folded(key)
        known = self._tallies.setdefault(key, tally)
        if known is not tally:
            known.add(tally)


def folded(key: ViolationKey) -> ViolationKey:
    """Return the key without what clients choose: the column, and a table without a contract."""
    return key._replace(column=OTHER, table=key.table if key.contract else OTHER)


def _key(violation: Violation) -> ViolationKey:
    contract = violation.contract
    named = (contract.contract, contract.version, contract.team) if contract else ("", "", "")
    return ViolationKey(
        *named, violation.table, violation.column, violation.rule, violation.refused
    )


def _examples(violation: Violation) -> list[str]:
    """Return the value as an example, unless its column is not for everyone to see."""
    if violation.value is None or violation.contract is None:
        return []
    column = violation.contract.column(violation.column)
    if column is None or not column.is_open:
        return []
    text = violation.value
    return [text if len(text) <= MAX_EXAMPLE else text[:MAX_EXAMPLE] + "…"]
