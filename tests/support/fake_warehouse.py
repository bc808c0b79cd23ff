"""A warehouse in memory: the same methods as `workers.warehouse.Warehouse`, failing on demand.

It runs the scripts of `workers.sql` on their texts, so that it cannot agree with them by accident.
"""

import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from schema import LEDGER_TABLE, ColumnType
from workers import sql
from workers.plan import Column, Columns
from workers.warehouse import AlreadySettled, Fence, OutcomeUnknown, WarehouseRejected

_DELETE = re.compile(r"DELETE FROM `p\.d\.(\w+)` AS t WHERE EXISTS .*@(deleted_\w+)")
_KEY = re.compile(r"(?:t\.`(\w+)`\)?|TO_JSON_STRING\(t\.`(\w+)`\)) (?:IS NULL\) = \(k\.c(\d+)|=)")
_INSERT = re.compile(r"INSERT INTO `p\.d\.(\w+)` \(([^)]*)\) .*@(inserted_\w+)")

type Row = dict[str, str | None]


class Lost:
    """A scripted failure: the transaction commits and its answer is lost."""


class FakeWarehouse:
    """Tables of text rows. `commits` holds each attempt's ledger ids; `ddl` what was made.

    `lookups` counts the ledger's, `looked_at` are the tables whose columns were asked for.

    `failures` are used up one a commit: an exception raised before anything happens, None for none,
    or Lost. `refuses` is asked about the delete keys and rows of each commit.
    """

    def __init__(self) -> None:
        self.catalog: dict[str, dict[str, Column]] = {}
        self.rows: dict[str, list[Row]] = {}
        self.ledger: list[dict[str, str | None]] = []
        self.commits: list[list[str]] = []
        self.ddl: list[tuple[str, str]] = []
        self.lookups = 0
        self.looked_at: list[str] = []
        self.failures: deque[Exception | Lost | None] = deque()
        self.ddl_failures: deque[Exception | None] = deque()
        self.refuses: Callable[[list[tuple[str, Row]]], bool] = lambda _: False

    async def commit(self, script: sql.Script, fence: Fence) -> None:
        if fence() <= 0:  # as the real one
            raise OutcomeUnknown("the leases ran out before the job was submitted")
        settled = json.loads(script.parameters["ledger"])
        self.commits.append([row[0] for row in settled])
        failure = self.failures.popleft() if self.failures else None
        if isinstance(failure, Exception):
            raise failure
        self._guard(script)
        deletes, inserts = _statements(script)
        self._check(deletes + inserts)
        if self.refuses(deletes + inserts):
            raise WarehouseRejected("the warehouse refuses a row")
        for table, key in deletes:
            self.rows[table] = [
                row
                for row in self.rows[table]
                if not all(row.get(name) == value for name, value in key.items())
            ]
        for table, row in inserts:
            self.rows[table].append(row)
        names = ("id", "state", "reason", "error", "source", "ordering_key", "sha256")
        self.ledger += [dict(zip(names, row, strict=False)) for row in settled]
        if isinstance(failure, Lost):
            raise OutcomeUnknown("the answer was lost")

    def _guard(self, script: sql.Script) -> None:
        ids = set(json.loads(script.parameters["ids"]))
        pairs = set(json.loads(script.parameters.get("conflicts", "[]")))
        for row in self.ledger:
            if row["id"] in ids or f"{row['id']} {row['sha256']}" in pairs:
                raise AlreadySettled

    def _check(self, changes: list[tuple[str, Row]]) -> None:
        for table, row in changes:
            missing = row.keys() - self.catalog.get(table, {}).keys()
            if table not in self.catalog or missing:
                raise WarehouseRejected(f"Not found: {table} {missing}")

    async def look_up(self, ids: list[str], fence: Fence) -> list[Mapping[str, Any]]:
        del fence
        self.lookups += 1
        return [row for row in self.ledger if row["id"] in ids]

    async def create_table(
        self, table: str, columns: Iterable[tuple[str, ColumnType]], fence: Fence
    ) -> None:
        self._ddl("create", table, fence)
        if table not in self.catalog:
            self.catalog[table], self.rows[table] = {}, []
            self._add(table, columns)

    async def add_columns(
        self, table: str, columns: Iterable[tuple[str, ColumnType]], fence: Fence
    ) -> None:
        self._ddl("add", table, fence)
        self._add(table, columns)

    def _ddl(self, what: str, table: str, fence: Fence) -> None:
        assert fence() > 0
        failure = self.ddl_failures.popleft() if self.ddl_failures else None
        if failure:
            raise failure
        self.ddl.append((what, table))

    def _add(self, table: str, columns: Iterable[tuple[str, ColumnType]]) -> None:
        for name, declared in columns:
            sized = declared.bigquery != declared.base
            size = (declared.precision, declared.scale) if sized else (None, None)
            column = Column(name, declared.base, *size)
            self.catalog[table].setdefault(name.casefold(), column)

    async def drop_unused(self, table: str, column: str | None, fence: Fence) -> None:
        self._ddl("drop", table if column is None else f"{table}.{column}", fence)
        if column is None and not self.rows[table]:
            del self.catalog[table], self.rows[table]
        if column is not None and all(row.get(column) is None for row in self.rows[table]):
            del self.catalog[table][column]

    async def columns(self, table: str) -> Columns | None:
        self.looked_at.append(table)
        own = self.catalog.get(table)
        return None if own is None else dict(own)

    def counted(self, table: str) -> Counter[tuple[str | None, ...]]:
        """Return a table's rows as a multiset, in the order of the sorted column names."""
        names = sorted(self.catalog[table])
        return Counter(tuple(row.get(name) for name in names) for row in self.rows[table])

    def settled(self) -> dict[tuple[str, str], str | None]:
        """Return the ledger: id and hash → reason; fail when one is there twice."""
        found = {(str(row["id"]), str(row["sha256"])): row["reason"] for row in self.ledger}
        assert len(found) == len(self.ledger), "settled twice"
        return found


def _statements(script: sql.Script) -> tuple[list[tuple[str, Row]], list[tuple[str, Row]]]:
    """Return what a script deletes and inserts: tables and keys or rows, by lower-case name."""
    deletes: list[tuple[str, Row]] = []
    inserts: list[tuple[str, Row]] = []
    for line in script.sql.splitlines():
        found = _DELETE.match(line)
        if found:
            names = list(dict.fromkeys(a or b for a, b, _ in _KEY.findall(line)))
            rows, into, table = found[2], deletes, found[1]
        else:
            found = _INSERT.match(line)
            if not found or found[1] == LEDGER_TABLE:
                continue
            names = [name.strip("` ") for name in found[2].split(",")]
            rows, into, table = found[3], inserts, found[1]
        lowered = [name.lower() for name in names]
        into += [
            (table, dict(zip(lowered, row, strict=True)))
            for row in json.loads(script.parameters[rows])
        ]
    return deletes, inserts
