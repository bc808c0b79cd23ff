"""The script of a batch's plan: what it settles, what it locks, and the bounds it has to keep."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ops.runtime.warehouse_errors import TooLarge
from schema import Reason, lane_name, lane_of
from workers import sql
from workers.change_sql import TableLayout
from workers.contract_columns import Contracts, is_unique
from workers.dedupe import ledger_row
from workers.lane_head import LaneHead
from workers.plan import MAX_TABLES, Plan
from workers.rejected_row import rejected_row
from workers.table_change import TableChange

MAX_STATEMENTS = 100
"""Data statements of a script with several transactions: each takes about a second."""


@dataclass(frozen=True, slots=True)
class LaneScripts:
    """Writes the scripts of a lane's batch, all of them by one worker at the head's epoch."""

    dataset: str
    head: LaneHead
    since: str
    worker: str

    def script(
        self, plan: Plan, changes: list[TableChange], layouts: Mapping[str, TableLayout]
    ) -> sql.Script:
        """Write the script of a plan and its changes. Raises TooLarge."""
        tables = {change.table for change in changes}
        settlement = self._settlement(plan, tables)
        count = len(tables) + len(settlement.locks)
        if count > MAX_TABLES:
            text = f"{count} tables in one transaction, {MAX_TABLES} at the most"
            raise TooLarge(text, count / MAX_TABLES)
        script = sql.script(self.dataset, changes, settlement, layouts)
        if script.excess > 1:
            raise TooLarge("the transaction is larger than a BigQuery request", script.excess)
        if script.statements > MAX_STATEMENTS and len(plan.settled) > 1:
            excess = script.statements / MAX_STATEMENTS
            raise TooLarge(f"{script.statements} statements in one transaction", excess)
        return script

    def _settlement(self, plan: Plan, tables: Iterable[str]) -> sql.LaneSettlement:
        # A conflict's id is in the ledger already, or comes with its first body in this batch.
        ids = [
            message.message.id
            for message, rejection in plan.settled
            if not rejection or rejection.reason is not Reason.IDEMPOTENCY_CONFLICT
        ]
        lane = lane_name(self.head.lane)
        rows = [
            ledger_row(message, rejection, lane, self.worker) for message, rejection in plan.settled
        ]
        rejected = [rejected_row(*each, lane, self.worker) for each in plan.rejected]
        locks = self._locks(plan.contracts, tables)
        return sql.LaneSettlement(
            self.head.lane, self.head.epoch, self.since, ids, rows, locks, rejected
        )

    def _locks(self, contracts: Contracts, tables: Iterable[str]) -> list[int]:
        """Return the other lanes whose heads stand for tables with unique keys.

        BigQuery runs INSERTs, and MERGEs that only insert, of two lanes side by side, and neither
        sees the other's rows. So both change the head of the lane that the table's name has as an
        ordering key: https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
        """
        unique = {each for each in tables if is_unique(contracts.get(each))}
        lanes = {lane_of(table, self.head.lanes) for table in unique}
        return sorted(lanes - {self.head.lane})
