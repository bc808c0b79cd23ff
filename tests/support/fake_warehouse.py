"""A warehouse in memory: the methods of `workers.warehouse.Warehouse`, failing on demand.

It works on what a script was written from, not on its SQL, and follows the rules of the commit: a
script changes its lane's head, or fails and changes nothing.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.runtime.warehouse_errors import (
    DUPLICATE_TEXT,
    DuplicateKeys,
    Fenced,
    OutcomeUnknown,
    WarehouseRejected,
    WarehouseUnavailable,
)
from schema import ColumnType
from schema.contracts import TableContract
from tests.support.plain_rows import Row, apply_change, duplicate_places, mappings
from workers import sql
from workers.catalog import TableSchema
from workers.change_sql import TableLayout
from workers.jobs import Deadline
from workers.table_change import TableChange
from workers.table_columns import Column

type Changes = list[tuple[str, Row]]


def rows_of(change: TableChange) -> Changes:
    """Return a change's keys, the values that it sets, and its rows, each with the table."""
    rows = [row for row_set in (*change.deletes, *change.inserts) for row in mappings(row_set)]
    if change.update:
        keyed = (dict(zip(change.update.key, e.key, strict=True)) for e in change.update.rows)
        rows += [*keyed, *(dict(each.sets) for each in change.update.rows)]
    return [(change.table, row) for row in rows]


class Lost:
    """A failure: the transaction commits and its answer is lost."""


@dataclass
class Head:
    epoch: int = 0
    suspect: str | None = None
    attempts: int = 0


@dataclass
class FakeWarehouse:
    """Tables of text rows, heads, ledger rows and rejected rows by lane.

    `failures` are used up one a commit: an exception raised before anything happens, Lost, or None
    for none. `refuses` gets the keys, set values and rows of each commit, and the error then names
    the statement of `refused_table`; `commits` holds each attempt's ledger ids, `ddl` what was
    made, `looked_at` the tables whose schema was asked for.
    """

    lanes: int = 32
    dataset: str = "p.d"
    catalog: dict[str, dict[str, Column]] = field(default_factory=dict)
    defaults: dict[str, dict[str, str]] = field(default_factory=dict)
    pruned_by: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    heads: dict[int, Head] = field(default_factory=dict)
    ledger: list[dict[str, str | None]] = field(default_factory=list)
    rejected: list[dict[str, str | None]] = field(default_factory=list)
    commits: list[list[str | None]] = field(default_factory=list)
    scripts: list[sql.Script] = field(default_factory=list)
    ddl: list[tuple[str, str]] = field(default_factory=list)
    reads: int = 0
    resumes: int = 0
    looked_at: list[str] = field(default_factory=list)
    failures: deque[Exception | Lost | None] = field(default_factory=deque)
    ddl_failures: deque[Exception | None] = field(default_factory=deque)
    refuses: Callable[[Changes], bool] = lambda _: False
    refused_table: str = ""
    before_commit: Callable[[], None] = lambda: None

    def head(self, lane: int) -> Head:
        return self.heads.setdefault(lane, Head())

    async def commit(self, script: sql.Script, left: Deadline) -> None:
        _check_time(left)
        settlement = script.settlement
        self.commits.append([row[0] for row in settlement.rows])
        failure = self.failures.popleft() if self.failures else None
        if isinstance(failure, Exception):
            raise failure
        self.before_commit()
        head = self.head(settlement.lane)
        if head.epoch != settlement.epoch or self._holds_any(settlement):
            raise Fenced("gatekeeper: fenced")
        self._apply(script)
        head.epoch += 1
        names = [column.name for column in sql.ROW_COLUMNS]
        self.ledger += [dict(zip(names, row, strict=True)) for row in settlement.rows]
        names = [column.name for column in sql.REJECTED_ROW_COLUMNS]
        self.rejected += [dict(zip(names, row, strict=True)) for row in settlement.rejected]
        self.scripts.append(script)
        if isinstance(failure, Lost):
            raise OutcomeUnknown("the answer was lost")

    def _holds_any(self, settlement: sql.LaneSettlement) -> bool:
        return any(row["id"] in settlement.ids for row in self._of_lane(settlement.lane))

    def _of_lane(self, lane: int) -> list[dict[str, str | None]]:
        return [row for row in self.ledger if row["lane"] == f"lane-{lane:02}"]

    def _apply(self, script: sql.Script) -> None:
        changes = script.changes
        named = [row for change in changes for row in rows_of(change)]
        for table, row in named:
            if table not in self.catalog or row.keys() - self.catalog[table].keys():
                raise WarehouseRejected(f"Not found: {table}")
        if self.refuses(named):
            raise WarehouseRejected(f"the warehouse refuses a row{self._place_in(script)}")
        after: dict[str, list[Row]] = {}
        for change in changes:
            phase = "later" if change.table in after else "first"
            rows = after.setdefault(change.table, list(self.rows[change.table]))
            if places := duplicate_places(rows, change):
                listed = "".join(f"{place}," for place in places)
                raise DuplicateKeys(f"{DUPLICATE_TEXT} {phase} {listed}")
            apply_change(rows, change)
        self.rows |= after

    def _place_in(self, script: sql.Script) -> str:
        name = f"`{self.dataset}.{self.refused_table}`"
        lines = enumerate(script.sql.split("\n"), 1)
        return next((f" at [{line}:1]" for line, text in lines if name in text), "")

    async def read_lane(
        self, lane: int, ids: list[str], since: str, left: Deadline
    ) -> list[Mapping[str, Any]]:
        assert since
        _check_time(left)
        self.reads += 1
        head = self.head(lane)
        own = {
            "epoch": head.epoch,
            "lanes": self.lanes,
            "suspect": head.suspect,
            "attempts": head.attempts,
        }
        nothing = dict.fromkeys(("id", "sha256", "reason", "error"))
        found = [row for row in self._of_lane(lane) if row["id"] in ids]
        return [{**own, **row} for row in found or [nothing]]

    async def note_attempt(self, lane: int, epoch: int, id_: str, left: Deadline) -> None:
        _check_time(left)
        head = self.head(lane)
        if head.epoch != epoch:
            raise Fenced("gatekeeper: fenced")
        head.epoch += 1
        head.attempts = head.attempts + 1 if head.suspect == id_ else 1
        head.suspect = id_

    async def count_resumes(self, left: Deadline) -> int:
        _check_time(left)
        return self.resumes

    async def create_table(
        self,
        table: str,
        columns: Iterable[tuple[str, ColumnType]],
        left: Deadline,
        contract: TableContract | None = None,
    ) -> None:
        self._make("create", table, left)
        if table not in self.catalog:
            self.catalog[table], self.rows[table] = {}, []
            self._add(
                table, [(each.name, each.type) for each in contract.columns] if contract else []
            )
            self._add(table, columns)

    async def add_columns(
        self, table: str, columns: Iterable[tuple[str, ColumnType]], left: Deadline
    ) -> None:
        self._make("add", table, left)
        self._add(table, columns)

    def _make(self, what: str, table: str, left: Deadline) -> None:
        _check_time(left)
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

    async def schema(self, table: str) -> TableSchema | None:
        self.looked_at.append(table)
        own = self.catalog.get(table)
        if own is None:
            return None
        layout = TableLayout(self.defaults.get(table, {}), self.pruned_by.get(table, ()))
        return TableSchema(dict(own), layout)

    def counted(self, table: str) -> Counter[tuple[str | None, ...]]:
        """Return a table's rows as a multiset, in the order of the sorted column names."""
        names = sorted(self.catalog[table])
        return Counter(tuple(row.get(name) for name in names) for row in self.rows[table])

    def settled(self) -> dict[tuple[str, str], str | None]:
        """Return the ledger: id and hash → reason; fail when one is there twice."""
        found = {(str(row["id"]), str(row["sha256"])): row["reason"] for row in self.ledger}
        assert len(found) == len(self.ledger), "settled twice"
        return found


def _check_time(left: Deadline) -> None:
    """Fail as `workers.jobs.JobRunner.run` does."""
    if left() <= 0:
        raise WarehouseUnavailable("no time is left for the job")
