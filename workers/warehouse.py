"""The warehouse: what a worker asks of one dataset. Methods block no loop."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from ops.runtime import metrics
from ops.runtime.warehouse_errors import WarehouseRejected, WarehouseUnavailable, classify
from schema import ColumnType
from schema.contracts import TableContract, create_contract_table
from workers import sql
from workers.catalog import TableSchema
from workers.change_sql import TableLayout
from workers.jobs import ONCE, REQUEST_SECONDS, Deadline, JobLimits, Jobs, text_of
from workers.table_columns import Column

# tables.get has the legacy names.
_STANDARD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


class Warehouse:
    """Methods raise the failures of ops.runtime.warehouse_errors."""

    def __init__(
        self,
        client: bigquery.Client,
        dataset: str,
        *,
        labels: Mapping[str, str] | None = None,
        limits: JobLimits = JobLimits(),  # noqa: B008  # immutable
    ) -> None:
        self.dataset = dataset
        self._client = client
        self._run = Jobs(client, dataset, labels or {}, limits).run

    async def commit(self, script: sql.Script, left: Deadline) -> None:
        """Run a lane's script; returns when it is committed."""
        with metrics.TRANSACTION_SECONDS.time():
            await self._run(script.sql, script.parameters, left, script.settlement.lane)
        metrics.STATEMENTS.inc(script.statements)

    async def read_lane(
        self, lane: int, ids: list[str], since: str, left: Deadline
    ) -> list[Mapping[str, Any]]:
        """Return a lane's head, with each ledger row of the ids: see `sql.read_lane`."""
        return await self._run(*sql.read_lane(self.dataset, lane, ids, since), left, lane)

    async def note_attempt(self, lane: int, epoch: int, id_: str, left: Deadline) -> None:
        """Count an attempt at a transaction in the lane's head, which moves the epoch by one."""
        await self._run(*sql.note_attempt(self.dataset, lane, epoch, id_), left, lane)

    async def count_resumes(self, left: Deadline) -> int:
        """Return how often `gatekeeper resume` was run on the dataset."""
        try:
            (row,) = await self._run(sql.count_resumes(self.dataset), {}, left)
        except WarehouseRejected:  # never: the first run creates the table
            return 0
        return int(row["resumes"])

    async def create_table(
        self,
        table: str,
        columns: Iterable[tuple[str, ColumnType]],
        left: Deadline,
        contract: TableContract | None = None,
    ) -> None:
        """Create a table unless it is there: by its contract, with further columns."""
        if contract is None:
            text = sql.create_table(self.dataset, table, columns)
        else:
            text = create_contract_table(self.dataset, contract, columns)
        await self._run(text, {}, left)

    async def add_columns(
        self, table: str, columns: Iterable[tuple[str, ColumnType]], left: Deadline
    ) -> None:
        """Add to a table those columns that it lacks."""
        await self._run(sql.add_columns(self.dataset, table, columns), {}, left)

    async def schema(self, table: str) -> TableSchema | None:
        """Return a table's schema as it is now; None when there is no such table."""
        path = f"{self.dataset}.{table}"
        try:
            found = await asyncio.to_thread(
                self._client.get_table, path, retry=ONCE, timeout=REQUEST_SECONDS
            )
        except NotFound:
            return None
        except Exception as error:
            # A look-up has no outcome.
            permanent = classify(error) is WarehouseRejected
            failure = WarehouseRejected if permanent else WarehouseUnavailable
            raise failure(text_of(error)) from error
        columns = {field.name.casefold(): _column(field) for field in found.schema}
        defaults = {
            field.name.casefold(): field.default_value_expression
            for field in found.schema
            if field.default_value_expression
        }
        return TableSchema(columns, TableLayout(defaults, _pruned_by(found)))


def _column(field: bigquery.SchemaField) -> Column:
    base = _STANDARD.get(field.field_type, field.field_type)
    required = field.mode == "REQUIRED" and not field.default_value_expression
    return Column(field.name, base, field.precision, field.scale, required=required)


def _pruned_by(table: bigquery.Table) -> tuple[str, ...]:
    """Return the columns by which BigQuery leaves parts of a table out, without case."""
    by_time, by_range = table.time_partitioning, table.range_partitioning
    partition = (by_time and by_time.field) or (by_range and by_range.field)
    columns = [*([partition] if partition else []), *(table.clustering_fields or [])]
    return tuple(str(column).casefold() for column in columns)
