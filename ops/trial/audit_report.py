"""The result of an audit: counts of transactions, and a sentence for each defect."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DEFECTS = ("lost", "duplicated", "partial", "out_of_order")


class Defect(NamedTuple):
    """One defect: its kind, the transaction or table that has it, and what was found."""

    defect: str
    who: str
    text: str


@dataclass
class AuditReport:
    """Counts of transactions; `rejected` is by reason."""

    accepted: int = 0
    applied: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    unsettled: int = 0
    adopted: int = 0
    """Transactions whose outcome only an empty table or column explains that was left behind."""
    findings: list[Defect] = field(default_factory=list)
    examined: tuple[str, ...] = ()
    """What was read: the ledger, the tables, the dead letters."""

    def find(self, defect: str, who: str, text: str) -> None:
        self.findings.append(Defect(defect, who, text))

    def count(self, defect: str) -> int:
        """Return how many transactions have a defect: each counts once."""
        return len({each.who for each in self.findings if each.defect == defect})

    @property
    def clean(self) -> bool:
        """Whether there is no defect and every transaction is settled."""
        return not self.findings and not self.unsettled

    def counts(self) -> dict[str, Any]:
        """Return the counts as in the JSON output."""
        return {
            "accepted": self.accepted,
            "applied": self.applied,
            "rejected": dict(sorted(self.rejected.items())),
            "adopted": self.adopted,
            "unsettled": self.unsettled,
            **{defect: self.count(defect) for defect in DEFECTS},
        }
