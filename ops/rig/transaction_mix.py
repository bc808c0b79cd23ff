"""The load of locustfile.py and the benchmarks: inserts, deletes, mixed transactions; four tables.

Of ten transactions six insert a row, two delete the rows of one id, and two are mixed: one to five
pairs of an insert and a delete, each pair on a table of its own choice.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

TABLES: Final = ("load_orders", "load_payments", "load_customers", "load_shipments")
COLUMNS: Final = ["id", "name", "amount", "paid", "updated_at"]
TYPES: Final = ["INTEGER", "TEXT", "DECIMAL(12,2)", "BOOLEAN", "TIMESTAMP"]
IDS: Final = 10_000
"""Few enough that deletes meet rows which earlier inserts left."""
PAIRS: Final = 5
"""The most in a mixed transaction."""
WEIGHTS: Final = {"insert": 6, "delete": 2, "mixed": 2}


class TransactionMix:
    """Makes transactions over some tables; the same seed makes the same ones but for the time."""

    def __init__(self, tables: Sequence[str] = TABLES, seed: int | None = None) -> None:
        self.tables = tables
        self._random = random.Random(seed)  # noqa: S311  # load, not secrets

    def transaction(self) -> dict[str, Any]:
        """Make one of any kind, by their weights."""
        kinds: dict[str, Callable[[], dict[str, Any]]] = {
            "insert": self.inserted,
            "delete": self.deleted,
            "mixed": self.mixed,
        }
        (kind,) = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        return kinds[kind]()

    def inserted(self) -> dict[str, Any]:
        """Insert one row."""
        return {"activities": [self.insert(self._table())]}

    def deleted(self) -> dict[str, Any]:
        """Delete the rows of one id."""
        return {"activities": [self.delete(self._table())]}

    def mixed(self) -> dict[str, Any]:
        """Insert into and delete from several tables in one transaction.

        The insert comes first: transactions on other tables are under another ordering key, and
        one of them may be the first that this table ever sees.
        """
        chosen = self._random.choices(self.tables, k=self._random.randint(1, PAIRS))
        pairs = ((self.insert(table), self.delete(table)) for table in chosen)
        return {"activities": list(itertools.chain.from_iterable(pairs))}

    def replaced(self, table: str) -> dict[str, Any]:
        """Delete the rows of one id and insert one anew: two activities on one table."""
        return {"activities": [self.delete(table), self.insert(table)]}

    def insert(self, table: str) -> dict[str, Any]:
        """Return an activity that inserts one row."""
        number = self._random.randrange(IDS)
        cents = self._random.randrange(10**9)
        values = [
            number,
            f"name {number}",
            f"{cents // 100}.{cents % 100:02}",
            self._random.choice((True, False, None)),
            datetime.now(UTC).isoformat(),
        ]
        return {
            "operation": "insert",
            "table": table,
            "col_names": COLUMNS,
            "col_types": TYPES,
            "col_values": values,
        }

    def delete(self, table: str) -> dict[str, Any]:
        """Return an activity that deletes every row of one id."""
        return {
            "operation": "delete",
            "table": table,
            "value_to_delete": {
                "col_names": COLUMNS[:1],
                "col_types": TYPES[:1],
                "col_values": [self._random.randrange(IDS)],
            },
        }

    def _table(self) -> str:
        return self._random.choice(self.tables)
