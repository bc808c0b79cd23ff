"""The state of one comparison: the evidence, the expected state, the report so far. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ops.trial.audit_report import AuditReport
from ops.trial.expected import RowName, replay
from ops.trial.journal import History, Sent, SentKey
from ops.trial.model import ModelRow


class LedgerRow(NamedTuple):
    """One row of the ledger; `settled_at` is a sortable time."""

    state: str
    reason: str | None
    settled_at: str


@dataclass
class Evidence:
    """What was read from a fleet; a table that does not exist is not in `types`."""

    ledger: Mapping[SentKey, list[LedgerRow]]
    types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """BigQuery's types by table and lower-case column name."""
    rows: Mapping[RowName, list[ModelRow]] = field(default_factory=dict)
    letters: Mapping[SentKey, set[str]] | None = None
    """Reasons on the dead-letter subscription; None if that was not read."""
    backlog: int = 0


def outcomes_of(ledger: Mapping[SentKey, list[LedgerRow]]) -> dict[SentKey, str | None]:
    """Return each transaction's outcome: the reason of its rejection, None when applied."""
    return {key: rows[0].reason for key, rows in ledger.items()}


def named(names: list[RowName]) -> str:
    """Return the words for some rows."""
    table, stream, number = names[0]
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return f"{table}'s row {stream}/{number}{more}"


class Comparison:
    """What the checks share. A check adds to `report`, `duplicated` and `wrong`."""

    def __init__(self, history: History, evidence: Evidence) -> None:
        self.history = history
        self.evidence = evidence
        self.accepted = _accepted(history, evidence)
        self.ledger = {key: evidence.ledger[key] for key in self.accepted if key in evidence.ledger}
        self.outcomes = outcomes_of(self.ledger)
        self.expected = replay(history, self.outcomes)
        self.report = AuditReport(
            accepted=len(self.accepted),
            adopted=self.expected.adopted,
            examined=("ledger", "tables"),
        )
        self.inserted: dict[SentKey, list[RowName]] = {}
        for name, key in self.expected.inserted.items():
            self.inserted.setdefault(key, []).append(name)
        self.duplicated: set[SentKey] = set()
        """Their rows are not checked for other defects."""
        self.wrong: set[SentKey] = set()
        """Settled otherwise than the model does; their rows are not checked either."""

    def describe(self, key: SentKey) -> str:
        sent = self.accepted.get(key)
        return f"{key[0]} ({sent.stream} {sent.number}, {sent.kind})" if sent else key[0]

    def find(self, defect: str, key: SentKey, text: str) -> None:
        self.report.find(defect, self.describe(key), text)

    def existing(self, names: list[RowName]) -> list[RowName]:
        """Return the rows among these that are in their table."""
        return [name for name in names if name in self.evidence.rows]


def _accepted(history: History, evidence: Evidence) -> dict[SentKey, Sent]:
    found = history.accepted()
    for sent in history.all():
        if sent.status is None and sent.key in evidence.ledger:
            found.setdefault(sent.key, sent)
    return found
