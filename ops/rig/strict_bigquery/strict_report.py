"""Jobs, statements, refusals, bytes and dollars since the start or the last reset."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from ops.rig.strict_bigquery.billed_bytes import DOLLARS_A_TIB
from ops.rig.strict_bigquery.documented_rules import RULES

_TIB = 2**40
_PRICE_PAGE = "https://cloud.google.com/bigquery/pricing#on_demand_pricing"


class StrictReport:
    """Counts; `as_json` is what GET /_strict/report answers."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        self._since = self._clock()
        self.jobs: Counter[str] = Counter()
        """By their end: done, refused, failed."""
        self.refusals: Counter[str] = Counter()
        """By rule."""
        self._statements: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._tables: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))

    def bill(self, kind: str, tables: Mapping[str, int]) -> None:
        """Count a statement and its bytes by table."""
        self._statements[kind] += 1
        self._bytes[kind] += sum(tables.values())
        for table, size in tables.items():
            self._tables[table][kind].update(statements=1, bytes=size)

    def as_json(self) -> dict[str, Any]:
        total = self._bytes.total()
        seconds = self._clock() - self._since
        dollars = total / _TIB * DOLLARS_A_TIB
        return {
            "since": self._since,
            "seconds": seconds,
            "jobs": dict(self.jobs),
            "statements": dict(self._statements),
            "refusals": {
                rule: {"count": count, "source": RULES.get(rule, "")}
                for rule, count in self.refusals.items()
            },
            "bytes_billed": {"total": total, **self._bytes},
            "dollars": dollars,
            "dollars_a_day": dollars / seconds * 86_400 if seconds else 0.0,
            "price": {"dollars_a_tib": DOLLARS_A_TIB, "source": _PRICE_PAGE},
            "tables": {
                table: {kind: dict(counts) for kind, counts in kinds.items()}
                for table, kinds in sorted(self._tables.items())
            },
        }
