"""The load of locustfile.py and the benchmarks: every operation, mixed transactions; four tables.

Of ten transactions four insert a row, one deletes the rows of one id, one updates them, two upsert
a row by its id, and two are mixed: one to five pairs of an insert and a delete, each pair on a
random table.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

TABLES: Final = ("load_orders", "load_payments", "load_customers", "load_shipments")
COLUMNS: Final = ["id", "name", "amount", "paid", "updated_at"]
TYPES: Final = ["INTEGER", "TEXT", "DECIMAL(12,2)", "BOOLEAN", "TIMESTAMP"]
PARTITIONED_BY: Final = "updated_at"
"""The column by whose day a large table of the load may be partitioned."""
IDS: Final = 10_000
"""Few enough that deletes find rows of earlier inserts."""
PAIRS: Final = 5
"""The most in a mixed transaction."""
WEIGHTS: Final = {"inserted": 4, "deleted": 1, "updated": 1, "upserted": 2, "mixed": 2}
"""The methods that make a transaction, and how often each is chosen."""
_ID, _REST = slice(0, 1), slice(1, None)


class TransactionMix:
    """Makes transactions over some tables; the same seed gives the same ones except for times."""

    def __init__(self, tables: Sequence[str] = TABLES, seed: int | None = None) -> None:
        self.tables = tables
        self._random = random.Random(seed)  # noqa: S311  # load, not secrets

    def transaction(self) -> dict[str, Any]:
        """Make one of any kind, by the weights."""
        (kind,) = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        made: dict[str, Any] = getattr(self, kind)()
        return made

    def inserted(self) -> dict[str, Any]:
        return {"activities": [self.insert(self._table())]}

    def deleted(self) -> dict[str, Any]:
        return {"activities": [self.delete(self._table())]}

    def updated(self) -> dict[str, Any]:
        return {"activities": [self.update(self._table())]}

    def upserted(self) -> dict[str, Any]:
        return {"activities": [self.upsert(self._table())]}

    def mixed(self) -> dict[str, Any]:
        """Insert into and delete from several tables in one transaction.

        The insert comes first: transactions on other tables have another ordering key, and this
        may be the first transaction on a table.
        """
        chosen = self._random.choices(self.tables, k=self._random.randint(1, PAIRS))
        pairs = ((self.insert(table), self.delete(table)) for table in chosen)
        return {"activities": [activity for pair in pairs for activity in pair]}

    def replaced(self, table: str) -> dict[str, Any]:
        """Delete the rows of one id and insert one: two activities on one table."""
        return {"activities": [self.delete(table), self.insert(table)]}

    def rewritten(self) -> dict[str, Any]:
        """Delete a row by its id and its time, and insert it: one table, one of its partitions."""
        insert = self.insert(self._table())
        key = [COLUMNS.index(name) for name in ("id", PARTITIONED_BY)]
        lists = ("col_names", "col_types", "col_values")
        value_to_delete = {each: [insert[each][place] for place in key] for each in lists}
        delete = {"operation": "delete", "table": insert["table"]}
        return {"activities": [{**delete, "value_to_delete": value_to_delete}, insert]}

    def insert(self, table: str) -> dict[str, Any]:
        return {"operation": "insert", "table": table, **self._row()}

    def upsert(self, table: str) -> dict[str, Any]:
        """Return an activity that writes a row by its id."""
        return {"operation": "upsert", "table": table, "key": COLUMNS[:1], **self._row()}

    def update(self, table: str) -> dict[str, Any]:
        """Return an activity that sets all columns but the id of every row of one id."""
        row = self._row()
        match, sets = ({key: values[part] for key, values in row.items()} for part in (_ID, _REST))
        return {"operation": "update", "table": table, "value_to_match": match, **sets}

    def delete(self, table: str) -> dict[str, Any]:
        """Return an activity that deletes every row of one id."""
        value = {"col_names": COLUMNS[:1], "col_types": TYPES[:1]}
        value_to_delete = {**value, "col_values": [self._random.randrange(IDS)]}
        return {"operation": "delete", "table": table, "value_to_delete": value_to_delete}

    def _row(self) -> dict[str, list[Any]]:
        number = self._random.randrange(IDS)
        cents = self._random.randrange(10**9)
        values = [
            number,
            f"name {number}",
            f"{cents // 100}.{cents % 100:02}",
            self._random.choice((True, False, None)),
            datetime.now(UTC).isoformat(),
        ]
        return {"col_names": COLUMNS, "col_types": TYPES, "col_values": values}

    def _table(self) -> str:
        return self._random.choice(self.tables)
