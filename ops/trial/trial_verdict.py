"""The verdict: the counts, and a sentence for each defect that made one of them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DEFECTS = ("lost", "duplicated", "partial", "out_of_order")


class Finding(NamedTuple):
    """One defect: which count it belongs to, whose it is, and what was seen."""

    defect: str
    who: str
    text: str


@dataclass
class Verdict:
    """Counts of transactions. `rejected` is by reason; the defects are counted by `findings`."""

    accepted: int = 0
    applied: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    unsettled: int = 0
    findings: list[Finding] = field(default_factory=list)
    examined: tuple[str, ...] = ()
    """What was looked at: the ledger, the tables, the dead letters."""

    def find(self, defect: str, who: str, text: str) -> None:
        """Note a defect; a transaction counts once for each kind of defect."""
        self.findings.append(Finding(defect, who, text))

    def count(self, defect: str) -> int:
        """Return how many transactions have a defect."""
        return len({each.who for each in self.findings if each.defect == defect})

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong and nothing is still to come."""
        return not self.findings and not self.unsettled

    def counts(self) -> dict[str, Any]:
        """Return the counts as JSON has them."""
        return {
            "accepted": self.accepted,
            "applied": self.applied,
            "rejected": dict(sorted(self.rejected.items())),
            "unsettled": self.unsettled,
            **{defect: self.count(defect) for defect in DEFECTS},
        }
